/** What cloud-init finds in a machine: a user, a key, a host's name, or a file of the customer's own. */
import { seedProblem, toHex, utf8 } from "@xenoservers/protocol";
import { systemCrypto } from "@xenoservers/protocol/system";
import { bytesBlob, type Blob } from "../blob.ts";
import { InputError } from "../errors.ts";
import type { OpenedBytes } from "../given-bytes.ts";
import type { MachinePlace } from "./machine-place.ts";
import type { VmOptions } from "./vm-options.ts";

const ID_BYTES = 16;

/** No more than a machine is given. Throws InputError. */
async function smallBytes({ size, read }: OpenedBytes): Promise<Uint8Array> {
  const problem = seedProblem(size);
  if (problem !== null) throw new InputError(problem);
  return read(0, size);
}

async function publicKey({ sshKey }: VmOptions, place: MachinePlace): Promise<string | null> {
  if (sshKey === undefined) return null;
  const file = await place.open(sshKey, "--ssh-key");
  const key = new TextDecoder().decode(await smallBytes(file)).trim();
  if (key.includes("PRIVATE KEY")) throw new InputError(`${file.name} is a private key: give the public one, ${file.name}.pub`);
  return key;
}

export async function seedFiles(options: VmOptions, place: MachinePlace): Promise<{ name: "user-data" | "meta-data"; blob: Blob }[]> {
  const { hostname, user, sshKey, userData } = options;
  if ([hostname, user, sshKey, userData].every((each) => each === undefined)) return [];
  if (userData !== undefined && user !== undefined)
    throw new InputError("--user and --user-data exclude each other: name the user in your file");
  const key = await publicKey(options, place);
  if (hostname !== undefined && !/^[a-z0-9-]{1,63}$/.test(hostname))
    throw new InputError(`--hostname '${hostname}' must be letters, digits and dashes`);
  if (user !== undefined && !/^[a-z_][a-z0-9_-]{0,31}$/.test(user)) throw new InputError(`--user '${user}' is no user name`);
  const lines = ["#cloud-config"];
  if (user !== undefined) {
    lines.push("users:", `  - name: ${user}`, "    shell: /bin/bash", '    sudo: "ALL=(ALL) NOPASSWD:ALL"', "    lock_passwd: true");
    if (key) lines.push("    ssh_authorized_keys:", `      - ${JSON.stringify(key)}`);
  }
  const meta: Record<string, unknown> = {
    "instance-id": toHex(systemCrypto.randomBytes(ID_BYTES)),
    ...(hostname === undefined ? {} : { "local-hostname": hostname }),
    ...(key ? { "public-keys": [key] } : {}),
  };
  const own = userData === undefined ? null : await place.open(userData, "--user-data");
  return [
    { name: "user-data", blob: bytesBlob(own ? await smallBytes(own) : utf8(`${lines.join("\n")}\n`)) },
    { name: "meta-data", blob: bytesBlob(utf8(`${JSON.stringify(meta)}\n`)) },
  ];
}
