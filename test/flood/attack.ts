/** `attack.ts ROW URL`: plays one row until it is ended, at the lowest priority; says when it is under way. */
import { constants, setPriority } from "node:os";
import { ROWS } from "./rows.ts";

const [name = "", url = ""] = process.argv.slice(2);
const row = ROWS[name];
if (!row) throw new Error(`no row is called ${name}`);
setPriority(constants.priority.PRIORITY_LOW);
console.log(JSON.stringify(await row.play(url)));
process.stdin.resume();
