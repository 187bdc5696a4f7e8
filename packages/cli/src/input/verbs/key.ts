import { inputOf, json, textOr, word, type InputOf } from "../verb.ts";

export const whoamiInput = inputOf({}, { json });
export type WhoamiInput = InputOf<typeof whoamiInput>;
export const keyAddInput = inputOf({ label: word }, { json });
export type KeyAddInput = InputOf<typeof keyAddInput>;
export const keyRotateInput = inputOf({}, { json });
export type KeyRotateInput = InputOf<typeof keyRotateInput>;
/** Also of `token revoke`. */
export const keyRevokeInput = inputOf({ key: word }, { reason: textOr("--reason <text>", "said in the public log", ""), json });
export type KeyRevokeInput = InputOf<typeof keyRevokeInput>;
export const keyBackupInput = inputOf({ file: word }, {});
export type KeyBackupInput = InputOf<typeof keyBackupInput>;
