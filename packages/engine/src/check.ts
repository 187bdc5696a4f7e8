/** What can be said of a module without reading its code: quick, so that a customer's client asks before the order. */
export { programIn } from "./component.ts";
export { faultOf } from "./rewrite/fault.ts";
export { isComponent } from "./rewrite/kinds.ts";
