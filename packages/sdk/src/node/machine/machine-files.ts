/** Files of a running machine, and folders of this one that go in and out. Who controls the inputs: the guest; whoever runs this. */
import { copyIn } from "../../guest/copy-in.ts";
import { copyOut } from "../../guest/copy-out.ts";
import { AnyMachineFiles, type Asking } from "../../machine/machine-files.ts";
import type { MachineLink } from "../../session/machine-link.ts";

interface Copying extends Asking {
  /** Owners as they are on the other side. */
  owners?: boolean;
}

/** Files and folders of a running machine, each whole or not there. */
export class MachineFiles extends AnyMachineFiles {
  readonly #lease: string;

  constructor(link: MachineLink, lease: string) {
    super(link);
    this.#lease = lease;
  }

  /** A file or folder of this machine into the guest; gives what was left out, in words. */
  copyIn(here: string, there: string, { owners = false, ...asking }: Copying = {}): Promise<string[]> {
    return this.with(asking, (files) => copyIn(files, here, there, { owners }));
  }

  /** And out of it. */
  copyOut(there: string, here: string, { owners = false, ...asking }: Copying = {}): Promise<string[]> {
    return this.with(asking, (files) => copyOut(files, there, here, { owners, lease: this.#lease }));
  }
}
