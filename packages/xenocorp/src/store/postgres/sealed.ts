/** Results that lie sealed for their customers. */
import type { Pool } from "pg";
import type { SealedRow, Store } from "../store.ts";

export const postgresSealed = (pool: Pool): Pick<Store, "putSealed" | "getSealed" | "sealedDigest" | "dropSealed"> => ({
  async putSealed({ lease, bytes, digest, at, until }, bytesMax) {
    const { rows } = await pool.query<{ kept: string | null }>("select put_sealed($1, $2, $3, $4, $5, $6) as kept", [
      ...[lease, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), digest, at, until, bytesMax],
    ]);
    return rows[0]?.kept ?? null;
  },
  async getSealed(lease) {
    const { rows } = await pool.query<Omit<SealedRow, "at" | "until"> & { at: string; until: string }>(
      "select lease, bytes, digest, at, until from sealed where lease = $1",
      [lease],
    );
    return rows[0] ? { ...rows[0], at: Number(rows[0].at), until: Number(rows[0].until) } : null;
  },
  async sealedDigest(lease) {
    const { rows } = await pool.query<{ digest: string }>("select digest from sealed where lease = $1", [lease]);
    return rows[0]?.digest ?? null;
  },
  async dropSealed(before) {
    const { rowCount } = await pool.query("delete from sealed where until <= $1", [before]);
    return rowCount ?? 0;
  },
});
