// by a name of our own: in a bundle for Node the other one is what a banner declares for packages that ask by `require`
import { createRequire as requireFrom } from "node:module";

/**
 * A module of Node's own, read when it is wanted: an `import` makes a name of everything in it, and so loads what that is made of. Node has
 * a way to it since 22.3.
 */
export const builtin: typeof process.getBuiltinModule = process.getBuiltinModule ?? requireFrom("/");
