/** SHA-256 of nothing: of an empty stream, and of the canonical bytes of an empty tree (`[]`). */
export const EMPTY_BYTES_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
export const EMPTY_TREE_DIGEST = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
