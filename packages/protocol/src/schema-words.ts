/** What schemas say of what they refuse: zod/mini knows no language until it is given one. */
import { config } from "zod/mini";
import en from "zod/v4/locales/en.js";

/** Called as a file is loaded whose schemas speak to somebody: a bundler leaves out what a file is only imported for. */
export const inEnglish = (): void => void config(en());
