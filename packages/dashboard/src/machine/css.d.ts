/** A style of another's package, as text. */
declare module "*.css" {
  const css: string;
  export default css;
}
