/** An image of layers as tools that unpack images take it: an OCI image layout, with the digests of what is packed and of what is in it. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

export interface Layer {
  /** The archive as it is. */
  tar: Buffer;
  /** The same as it lies in a registry, and what that says of it. */
  packed?: Buffer;
  mediaType?: string;
}

export const digestOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const TYPE = "application/vnd.oci.image";

export async function writeLayout(at: string, layers: readonly Layer[]): Promise<void> {
  const blobs = path.join(at, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (bytes: Buffer, mediaType: string): Promise<{ mediaType: string; digest: string; size: number }> => {
    const digest = digestOf(bytes);
    await writeFile(path.join(blobs, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (value: unknown, type: string): ReturnType<typeof put> => put(Buffer.from(JSON.stringify(value)), `${TYPE}.${type}.v1+json`);
  const described = [];
  for (const { tar, packed = tar, mediaType = `${TYPE}.layer.v1.tar` } of layers) described.push(await put(packed, mediaType));
  const rootfs = { type: "layers", diff_ids: layers.map(({ tar }) => `sha256:${digestOf(tar)}`) };
  const config = await json({ os: "linux", architecture: "amd64", rootfs, config: {} }, "config");
  const manifest = await json({ schemaVersion: 2, config, layers: described }, "manifest");
  const named = { ...manifest, annotations: { "org.opencontainers.image.ref.name": "image" } };
  await writeFile(path.join(at, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  await writeFile(path.join(at, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}
