/** An image as a machine is made of it, wherever its parts lie. */
import type { Packing, ProgramPacking } from "@xenoservers/protocol/packing";
import type { Blob } from "../blob.ts";

/** What a type can name. */
export type TypedPacking = Exclude<Packing, ProgramPacking>;

export interface ImageLayer {
  blob: Blob;
  /** As its type says; its bytes decide. */
  compression: TypedPacking;
}

export interface ImageConfig {
  entrypoint: string[];
  command: string[];
  env: string[];
  workdir: string;
  /** Folders that are there when it starts, from the root. */
  volumes: string[];
  user: string;
  /** As it is written: a name or a number; empty where there is none. */
  stopSignal: string;
  /** Digests of what its layers unpack to, bottom first; empty where it states none. */
  unpacked: string[];
}

export interface AnyImage<Layer extends ImageLayer = ImageLayer> extends Omit<ImageConfig, "unpacked"> {
  /** Of the manifest for this platform. */
  digest: string;
  layers: Layer[];
  /** All layers together, which are brought here for it; null where this machine cannot tell. Throws OciError. */
  unpackedBytes(most?: number): Promise<number | null>;
}

export type NamedImage = AnyImage & { name: string };
