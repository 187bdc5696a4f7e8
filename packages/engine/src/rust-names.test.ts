/** Rust's names, beside what its own tools and LLVM's (`llvm-cxxfilt`) make of them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rustName } from "./rust-names.ts";

const HASH = "17h0123456789abcdefE";

describe("the older names", () => {
  it.each([
    [`_ZN4core9panicking18panic_bounds_check${HASH}`, "core::panicking::panic_bounds_check"],
    [`_ZN3std9panicking19begin_panic_handler28_$u7b$$u7b$closure$u7d$$u7d$${HASH}`, "std::panicking::begin_panic_handler::{{closure}}"],
    [`_ZN43_$LT$t..Sq$LT$T$GT$$u20$as$u20$t..Shape$GT$4area${HASH}`, "<t::Sq<T> as t::Shape>::area"],
    [`_ZN58_$LT$$RF$$BP$$u5b$T$u3b$$u20$N$u5d$$C$$LP$$u29$$SP$a.b$GT$4from${HASH}.llvm.7119`, "<&*[T; N],()@a.b>::from"],
    [`_ZN1a1b${HASH}.1`, "a::b.1"],
  ])("%s", (name, read) => expect(rustName(name)).toBe(read));
});

describe("names of the present kind", () => {
  it.each([
    ["_RNvNvCs1_1a3bar3foo", "a::bar::foo"],
    ["_RINvCs6Bq21TOhnQv_1t5innerINtNtCse5pTTQKvxgO_5alloc3vec3VeclEEB2_", "t::inner::<alloc::vec::Vec<i32>>"],
    [
      "_RINvMNtCs6Bq21TOhnQv_1t1mINtB3_1CKj3_Kb1_Kc78_E2goNCNvB3_u9mlaut_jva0EB5_.llvm.7119",
      "<t::m::C<3, true, 'x'>>::go::<t::m::ümlaut::{closure#0}>",
    ],
    ["_RINvC1a1fKj1f_Kan2a_Kb0_Kc41_KpE", "a::f::<31, -42, false, 'A', _>"],
    ["_RINvC1a1fKo123456789abcdef0123_E", "a::f::<0x123456789abcdef0123>"],
    ["_RINvC1a1fDINtC1b1TmEp4ItemmEL_E", "a::f::<dyn b::T<u32, Item = u32>>"],
    ["_RINvC1a1fFG_RL0_eEuE", "a::f::<for<'a> fn(&'a str)>"],
    ["_RINvC1a1fFK8my_thingmEzE", 'a::f::<extern "my-thing" fn(u32) -> !>'],
    ["_RINvC1a1fFUKCEuE", 'a::f::<unsafe extern "C" fn()>'],
    ["_RINvC1a1fTmETEThhEAhj4_ShE", "a::f::<(u32,), (), (u8, u8), [u8; 4], [u8]>"],
    ["_RINvC1a1fQhOhPhRL_hE", "a::f::<&mut u8, *mut u8, *const u8, &u8>"],
    ["_RINvC1a1fDG0_INtC1b2FnTRL1_hRL0_hEEp6OutputuEL_E", "a::f::<dyn for<'a, 'b> b::Fn<(&'a u8, &'b u8), Output = ()>>"],
    ["_RNCNvC1a1fs0_4name", "a::f::{closure:name#2}"],
    ["_RNvXs_C1aNtB4_1TNtB4_1U3foo", "<a::T as a::U>::foo"],
    ["_RNvYNtC1a1TNtC1b1U3foo.llvm.99", "<a::T as b::U>::foo"],
    ["_RNvC1a1f.1", "a::f.1"],
  ])("%s", (name, read) => expect(rustName(name)).toBe(read));
});

describe("what is no such name", () => {
  it.each([
    ...[
      "",
      "main",
      "_R",
      "_RNv",
      "_start",
      "_RC",
      "_ZN4coreE",
      "_ZN3foo3barEv",
      `_ZN99core${HASH}`,
      "_RNvC1a99999f",
      "_RNvB_1a",
      "_R1NvC1a1f",
    ],
    ...["_RINvC1a1fL0_E", "_RNvC1au3zzzzz", "Rust_call(int)"],
  ])("%s stays as it is", (name) => expect(rustName(name)).toBe(name));

  const deep = (depth: number): string => `_RINvC1a1f${"R".repeat(depth)}hE`;
  /** Each pair says twice what the one before says: 2 to the power of `levels` letters. */
  function doubling(levels: number): string {
    let name = "INvC1a1f";
    let at = name.length;
    name += "TabE";
    for (let i = 0; i < levels; i++) {
      const again = at === 0 ? "B_" : `B${base62(at)}`;
      at = name.length;
      name += `T${again}${again}E`;
    }
    return `_R${name}E`;
  }
  const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const base62 = (value: number): string => {
    let [left, text] = [value - 1, ""];
    do text = DIGITS[left % 62]! + text;
    while ((left = Math.floor(left / 62)) > 0);
    return `${text}_`;
  };

  it("says again what stood before, within bounds", () => {
    expect(rustName(doubling(1))).toBe("a::f::<(i8, bool), ((i8, bool), (i8, bool))>");
    expect(rustName(doubling(40))).toBe(doubling(40));
  });

  it("is what nests too deep, has a lifetime of a million names, or is a megabyte long", () => {
    expect(rustName(deep(100))).toBe(`a::f::<${"&".repeat(100)}u8>`);
    for (const name of [deep(3000), "_RINvC1a1fFGzzzz_EuE", `_R${"Nv".repeat(500_000)}`, `_ZN${"1a".repeat(500_000)}${HASH}`])
      expect(rustName(name)).toBe(name);
  });

  it("is never an error, nor longer than its bounds", () => {
    const letters = fc.constantFrom(..."_BCDEFGIKLMNPRTXYabehjlsuvy0123456789$.");
    const names = fc.array(letters, { maxLength: 60 }).map((some) => some.join(""));
    fc.assert(
      fc.property(names, (name) => {
        for (const begin of ["_R", "_RINv", "_ZN"]) expect(rustName(begin + name).length).toBeLessThan(4096);
      }),
    );
  });
});
