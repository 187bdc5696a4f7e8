/**
 * A machine or image as a page asks for it: of what the page holds, or of an address that the server fetches. What takes a folder or a
 * registry is refused in words. Who controls the inputs: the page.
 */
import { forgetting } from "../built.ts";
import { InputError } from "../errors.ts";
import type { Planned } from "../facade/here.ts";
import { entriesIn } from "../facade/input-entries.ts";
import { toldHere, workOptionsOf } from "../facade/read-input.ts";
import type { ReplicasInput } from "../facade/replicated-job.ts";
import type { RunInput } from "../facade/run-input.ts";
import { given } from "../given.ts";
import { openGiven, type Given, type OpenedBytes, type Reading } from "../given-bytes.ts";
import type { SourceEntry } from "../blob.ts";
import { parseVm } from "../machine/machine-job.ts";
import type { MachinePlace } from "../machine/machine-place.ts";
import { bootsMachine, vmOptionsOf } from "../machine/vm-options.ts";
import { heldImage } from "../oci/held-image.ts";
import { inWords } from "../oci/in-words.ts";
import { wantedOf } from "../wanted-of.ts";
import { fileAt, planInPage } from "./plan.ts";
import { notLoaded } from "./not-here.ts";

/** What is read of, or written to, a machine that has files and folders, or is fed by Node's streams; a page tells nothing of receipts. */
const ELSEWHERE = ["in", "dir", "out", "onInput", "onImage", "onReceipt"] as const satisfies readonly (keyof RunInput)[];
const SEVERAL = ["replicas", "noAudit"] as const satisfies readonly (keyof ReplicasInput)[];

/** Throws InputError. */
function assertHere(input: RunInput, isLoaded: boolean): void {
  const elsewhere = ELSEWHERE.find((key) => input[key] !== undefined);
  if (elsewhere !== undefined) throw new InputError(`${elsewhere} is for a program on Node, or the xeno command`);
  const several = SEVERAL.find((key) => (input as ReplicasInput)[key] !== undefined);
  if (several !== undefined && !isLoaded) throw notLoaded(several);
}

async function opened(bytes: Given, option: string, reading: Reading): Promise<OpenedBytes> {
  if (typeof bytes !== "string") return openGiven(bytes, option, reading);
  throw new InputError(`${option}: a page has no file ${bytes}: give its bytes, a Blob or a File`);
}

const noFolder = (): never => {
  throw new InputError("a page has no folders");
};

const placeWith = (entries: SourceEntry[], reading: Reading): MachinePlace => ({
  window: {},
  open: (bytes, option) => opened(bytes, option, reading),
  // browsers keep a page from what other hosts have; whether it is there, the server will say
  lookFirst: async (url) => {
    if (!URL.canParse(url)) throw new InputError(`${url} is no address`);
  },
  async image(archive, layersMax) {
    if (typeof archive !== "string") return heldImage(await openGiven(archive, "--image", reading), { reading, layersMax }).catch(inWords);
    throw new InputError(
      `--image: a page cannot ask a registry for ${archive}: give the archive that docker save or podman save writes of it`,
    );
  },
  script: async () => null,
  inputs: async () => (entries.length === 0 ? null : entries),
  folder: noFolder,
  tree: noFolder,
});

async function planOf(input: RunInput, isLoaded: boolean): Promise<Planned> {
  assertHere(input, isLoaded);
  const { files, leaveFiles = false, onNote } = input;
  const options = workOptionsOf(input);
  const { args, env, cpu, mem, disk, maxOutput, assurance, forgetInputs } = options;
  const entries = await entriesIn(files ?? {}, fileAt);
  const shared = { hasInputs: entries.length > 0, dir: [], env, cpu, maxOutput, deterministic: assurance === "deterministic-vm" };
  const place = placeWith(entries, input);
  const machine = await parseVm(undefined, args, vmOptionsOf(options, false), { ...shared, ...given({ mem, disk }) }, place);
  const wanted = wantedOf(options, machine);
  for (const line of machine.says) onNote?.(line);
  return {
    wanted,
    files: leaveFiles ? "left" : "held",
    write: async () => {},
    build({ vmEngine }) {
      const built = machine.build(vmEngine, wanted.fuelMax);
      return forgetInputs ? forgetting(built) : built;
    },
  };
}

/** `isLoaded`: what is beyond one lease at a time. Throws InputError. */
export const planWithMachines = (input: RunInput, isLoaded: boolean): Promise<Planned> =>
  bootsMachine(input) ? planOf(input, isLoaded).catch(toldHere) : planInPage(input, isLoaded);
