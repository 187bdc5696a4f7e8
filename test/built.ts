/** Before all tests: the command that many of them start is there as few files, which begin in a quarter of the processor's time. */
import { build } from "../scripts/build.ts";

export default (): Promise<void> => build(undefined, { unlessCurrent: true });
