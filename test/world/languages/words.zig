const std = @import("std");
const Bad = error{TooMany};
fn risky(n: usize) Bad!usize {
    if (n > 2) return error.TooMany;
    return n * 2;
}
pub fn main() !void {
    const gpa = std.heap.wasm_allocator;
    const out = std.io.getStdOut().writer();
    const args = try std.process.argsAlloc(gpa);
    var seen = std.StringArrayHashMap(u32).init(gpa);
    for (args[1..]) |word| {
        const entry = try seen.getOrPutValue(word, 0);
        entry.value_ptr.* += 1;
    }
    var it = seen.iterator();
    while (it.next()) |e| try out.print("{s} {d}\n", .{ e.key_ptr.*, e.value_ptr.* });
    try out.print("{d:.6} {x} {any}\n", .{ 1.0 / 3.0, @as(u128, 1) << 100, risky(3) });
    const dir = std.fs.cwd();
    try dir.makePath("made/below");
    try dir.writeFile("made/below/f.txt", "kept");
    const text = try dir.readFileAlloc(gpa, "made/below/f.txt", 100);
    try out.print("{s} {}\n", .{ text, dir.openFile("nowhere", .{}) catch |err| err == error.FileNotFound });
    var numbers = [_]u8{ 1, 2, 3 };
    const at = args.len + seen.count();
    if (args.len > 4) try out.print("{d}\n", .{numbers[at]});
    std.process.exit(@intCast(seen.count()));
}
