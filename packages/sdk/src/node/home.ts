/** Where a customer's machine keeps things, by the XDG rules; XENO_HOME puts all of it in one folder. Files with keys are 0600. */
import path from "node:path";
import envPaths from "env-paths";

const standard = envPaths("xeno", { suffix: "" });
const own = (name: string, otherwise: string): string => (process.env["XENO_HOME"] ? path.join(process.env["XENO_HOME"], name) : otherwise);

export const home = {
  get contexts(): string {
    return path.join(own("config", standard.config), "contexts.json");
  },
  get receipts(): string {
    return path.join(own("receipts", path.join(standard.data, "receipts")));
  },
  get data(): string {
    return own("data", standard.data);
  },
};
