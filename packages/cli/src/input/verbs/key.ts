import { flag, inputOf, json, textOr, timeFormat, word, type InputOf } from "../verb.ts";

export const whoamiInput = inputOf({}, { json });
export type WhoamiInput = InputOf<typeof whoamiInput>;
export const keyListInput = inputOf({}, { all: flag("-a, --all", "revoked and expired ones too"), timeFormat, json });
export type KeyListInput = InputOf<typeof keyListInput>;
export const keyAddInput = inputOf({ label: word }, { json });
export type KeyAddInput = InputOf<typeof keyAddInput>;
export const keyRotateInput = inputOf({}, { json });
export type KeyRotateInput = InputOf<typeof keyRotateInput>;
/** Also of `token revoke`. */
export const keyRevokeInput = inputOf({ key: word }, { reason: textOr("--reason <text>", "said in the public log", ""), json });
export type KeyRevokeInput = InputOf<typeof keyRevokeInput>;
export const keyBackupInput = inputOf({ file: word }, {});
export const keyRestoreInput = inputOf({ file: word }, { json });
export type KeyRestoreInput = InputOf<typeof keyRestoreInput>;
export type KeyBackupInput = InputOf<typeof keyBackupInput>;
