import { isInstalled } from "./own-place.ts";

/** What people type to start this program: in a checkout of the repository npm finds it, installed it is a command. */
export const XENO = isInstalled ? "xeno" : "npx xeno";
