/** `attack.ts ROW URL`: plays one row until it is ended; says when it is under way. */
import { ROWS } from "./rows.ts";

const [name = "", url = ""] = process.argv.slice(2);
const row = ROWS[name];
if (!row) throw new Error(`no row is called ${name}`);
console.log(JSON.stringify(await row.play(url)));
process.stdin.resume();
