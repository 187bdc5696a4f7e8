/** A self-signed certificate as each host of a pool has one, made anew for each test: its key is nobody's secret and in no file. */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const sized = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...sized]), body]);
}

const ECDSA_SHA256 = der(0x30, Buffer.from("06082a8648ce3d040302", "hex"));
const COMMON_NAME = Buffer.from("0603550403", "hex");

export interface Certificate {
  key: string;
  cert: string;
  /** SHA-256, as openssl prints it. */
  fingerprint: string;
}

/** What it is for besides its name (RFC 5280, 4.2.1.6). */
const forAddress = (address: string): Buffer => {
  const names = der(0x30, der(0x87, Buffer.from(address.split(".").map(Number))));
  return der(0xa3, der(0x30, der(0x30, Buffer.from("0603551d11", "hex"), der(0x04, names))));
};

export function selfSigned(name: string, address?: string): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const named = der(0x30, der(0x31, der(0x30, COMMON_NAME, der(0x0c, Buffer.from(name)))));
  const days = der(0x30, der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231235959Z")));
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ...[ECDSA_SHA256, named, days, named, publicKey.export({ type: "spki", format: "der" })],
    ...(address === undefined ? [] : [forAddress(address)]),
  );
  const whole = der(0x30, body, ECDSA_SHA256, der(0x03, Buffer.from([0]), sign("sha256", body, privateKey)));
  const digest = createHash("sha256").update(whole).digest("hex").toUpperCase();
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${whole.toString("base64").replace(/(.{64})(?=.)/g, "$1\n")}\n-----END CERTIFICATE-----\n`,
    fingerprint: digest.replace(/(..)(?=.)/g, "$1:"),
  };
}
