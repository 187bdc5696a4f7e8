/** Results that lie sealed for their customers. */
import type { Pool } from "pg";
import { SEALED_OWNER_SHARE, inARow, type SealedRow, type Store } from "../store.ts";

export const postgresSealed = (pool: Pool): Pick<Store, "putSealed" | "getSealed" | "sealedDigests" | "dropSealed"> => ({
  async putSealed({ lease, part, owner, bytes, digest, at, until }, bytesMax) {
    const { rows } = await pool.query<{ kept: string | null }>("select put_sealed($1, $2, $3, $4, $5, $6, $7, $8, $9) as kept", [
      ...[lease, part, owner, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), digest, at, until],
      ...[bytesMax, Math.floor(bytesMax / SEALED_OWNER_SHARE)],
    ]);
    return rows[0]?.kept ?? null;
  },
  async getSealed(lease, part) {
    const { rows } = await pool.query<Omit<SealedRow, "at" | "until"> & { at: string; until: string }>(
      "select lease, part, owner, bytes, digest, at, until from sealed where lease = $1 and part = $2",
      [lease, part],
    );
    return rows[0] ? { ...rows[0], at: Number(rows[0].at), until: Number(rows[0].until) } : null;
  },
  async sealedDigests(lease) {
    const { rows } = await pool.query<{ part: number; digest: string }>("select part, digest from sealed where lease = $1 order by part", [
      lease,
    ]);
    return inARow(rows);
  },
  async dropSealed(before) {
    const { rowCount } = await pool.query("delete from sealed where until <= $1", [before]);
    return rowCount ?? 0;
  },
});
