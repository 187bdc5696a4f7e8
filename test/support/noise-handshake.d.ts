declare module "noise-handshake" {
  interface KeyPair {
    publicKey: Uint8Array;
    secretKey: Uint8Array;
  }
  export default class Noise {
    constructor(pattern: "IK", initiator: boolean, staticKeypair: KeyPair);
    initialise(prologue: Uint8Array, remoteStatic?: Uint8Array): void;
    send(payload?: Uint8Array): Uint8Array;
    recv(message: Uint8Array): Uint8Array;
    readonly complete: boolean;
    readonly rs: Uint8Array;
    readonly tx: Uint8Array;
    readonly rx: Uint8Array;
  }
}
declare module "noise-handshake/cipher.js" {
  export default class CipherState {
    constructor(key: Uint8Array);
    encrypt(plaintext: Uint8Array): Uint8Array;
    decrypt(ciphertext: Uint8Array): Uint8Array;
  }
}
