import { inputOf, json, word, type InputOf } from "../verb.ts";

export const contextListInput = inputOf({}, { json });
export type ContextListInput = InputOf<typeof contextListInput>;
export const contextUseInput = inputOf({ name: word }, {});
export type ContextUseInput = InputOf<typeof contextUseInput>;
