/** For `catch`: what is wrong with an image is the customer's to know. */
import { InputError } from "../errors.ts";
import { OciError } from "./source.ts";

export const inWords = (error: unknown): never => {
  throw error instanceof OciError ? new InputError(error.message) : error;
};
