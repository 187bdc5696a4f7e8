/** A token is shown to a place that gives others for it (OAuth 2's refresh token), a password to whoever asks for it. */
export type Login = { kind: "password"; user: string; password: string } | { kind: "token"; token: string };
