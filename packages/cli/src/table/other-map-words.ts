/** Options of other tools for many jobs (GNU parallel, xargs, SLURM, CI matrices), and how the same is said by `xeno map`. */
const AT_ONCE = "-P COUNT runs so many at once";
const ONE_EACH = "each input is a job of its own; pack several into one file for fewer";
const IN_ORDER = "outputs come in the order of the inputs as it is";
const ON_STDERR = "how far it has come stands on stderr as it is; -q leaves it out";
const PIPED = "pipe the names in: xeno map script.py -- - < FILE";

export const OTHER_MAP_WORDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "-j": AT_ONCE,
    "--jobs": AT_ONCE,
    "--max-procs": AT_ONCE,
    "--max-parallel": AT_ONCE,
    "--concurrency": AT_ONCE,
    "-n": ONE_EACH,
    "-N": ONE_EACH,
    "-L": ONE_EACH,
    "--max-args": ONE_EACH,
    "-I": "{} stands for the input: xeno map script.py {} -- FILES",
    "-k": IN_ORDER,
    "--keep-order": IN_ORDER,
    "--bar": ON_STDERR,
    "--eta": ON_STDERR,
    "--progress": ON_STDERR,
    "-a": PIPED,
    "--arg-file": PIPED,
    "--halt": "--fail-fast: the first that fails ends the rest",
    "--timeout": "--max-time DURATION bounds each, --max-fuel its work",
    "--time": "--max-time DURATION bounds each, --max-fuel its work",
    "--joblog": "--json prints a line for each: its end, lease and cost",
    "--results": "--out DIR takes the files of each, --json its output too",
    "--resume-failed": "--resume NAME goes on: what failed by no fault of yours, or was stopped, runs again",
    "--dry-run": "xeno quote script.py says what one may cost",
  }),
);
