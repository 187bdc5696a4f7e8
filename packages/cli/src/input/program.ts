/** Which program the words after `xeno run` mean: a file that is here is never the name of an image. */
import path from "node:path";
import { PROGRAM_FILE, programAt, shellWord, type ProgramKind } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";

interface Program {
  file: string;
  args: string[];
  /** It runs here, whatever its name says. */
  kind?: ProgramKind;
}

/** What `podman save` and the like are usually told to write. */
const IMAGE_FILE = /\.(tar|tgz|tar\.\w{1,4})$/;
/** What a machine boots from, and the option that says so. */
const BOOTS: readonly (readonly [RegExp, string])[] = [
  [/\.iso$/i, "to start an installer's medium on an empty disk, write --disk 20G --screen --iso"],
  [/\.(qcow2|img|raw)$/i, "to start the disk that is in it, write --vm"],
];
/** As containers' engines have folders brought in (`-v HOST:GUEST`): our `-v` is for more words, and takes none. */
const VOLUME = /^(\.{0,2}\/[^:]*):(\/[^:]*)(?::\w+)?$/;

/** Throws UserError where the first word is a file that is neither a module nor a script that runs here. */
export async function programOf({ file, args }: Program): Promise<Program> {
  const found = await programAt(file);
  const [, host, guest] = VOLUME.exec(file) ?? [];
  if (host !== undefined && guest !== undefined && found === null)
    throw new UserError(`${file} is no program: a folder is brought in by --dir ${shellWord(`${host}::${guest}`)}`);
  if (PROGRAM_FILE.test(file) || found === null) return { file, args };
  if ("kind" in found) return { file, args, kind: found.kind };
  const here = `${file} is a file here, ${found.is}`;
  if (IMAGE_FILE.test(file)) throw new UserError(`${here}: if an image was saved in it, write --image ${shellWord(`archive:${file}`)}`);
  const boots = BOOTS.find(([name]) => name.test(file));
  if (boots) throw new UserError(`${here}: ${boots[1]} ${shellWord(file)}`);
  const { dir, base } = path.parse(path.normalize(file));
  const brought = `xeno run --in ${shellWord(dir || ".")} debian:12 ${shellWord(`/in/${base}`)}`;
  throw new UserError(
    `${here}: name the image that it is to run in, and bring its folder (${brought}), or write --image for an image of that name`,
  );
}
