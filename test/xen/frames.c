// What no network stack would send, by a raw socket on eth0, from inside a domain: without a C library, so that its RAM disk needs none.
// Each frame has another card's address, another source or another length than the one before it; what they ask of dom0 must be nothing.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

enum { IOCTL = 16, SOCKET = 41, SEND = 44, EXIT = 60, CARD_NUMBER = 0x8933 };
enum { AF_PACKET = 17, SOCK_RAW = 3, ALL_TYPES = 0x0300, HEADER = 14, MTU = 1500, EACH = 4000 };

static long call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}

static struct { u16 family, protocol; int card; u16 hardware; u8 kind, length, address[8]; } to = {AF_PACKET, 0, 0, 0, 0, 6, {0}};
static struct { char name[16]; int number; char rest[20]; } card = {"eth0", 0, {0}};
static int wire;
static u8 frame[HEADER + MTU];
static u32 state = 1;

static u32 drawn(void) { return state = state * 1664525u + 1013904223u; }
static void fill(u32 from) { for (u32 at = from; at < sizeof frame; at++) frame[at] = drawn() >> 24; }
static void head(u8 high, u8 low) {
  for (int at = 0; at < 6; at++) frame[at] = 0xff;
  for (int at = 6; at < 12; at++) frame[at] = drawn() >> 24;
  frame[6] &= 0xfe;
  frame[12] = high;
  frame[13] = low;
}
static void put(u32 at, const char *bytes, u32 length) { for (u32 i = 0; i < length; i++) frame[at + i] = bytes[i]; }
static void send(u32 length) { call(SEND, wire, (long)frame, length, 0, (long)&to, sizeof to); }
static void checksum(void) {
  u32 sum = 0;
  frame[24] = frame[25] = 0;
  for (int at = 14; at < 34; at += 2) sum += frame[at] << 8 | frame[at + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  frame[24] = ~sum >> 8;
  frame[25] = ~sum;
}

void _start(void) {
  wire = call(SOCKET, AF_PACKET, SOCK_RAW, ALL_TYPES, 0, 0, 0);
  call(IOCTL, wire, CARD_NUMBER, (long)&card, 0, 0, 0);
  to.card = card.number;
  for (u32 i = 0; i < EACH; i++) { // ARP: every address of its network, and of others, is somebody's
    head(8, 6);
    put(14, "\0\1\10\0\6\4\0\1", 8);
    put(22, (char *)frame + 6, 6);
    put(28, i & 1 ? "\12\0\2" : "\12\115\1", 3);
    frame[31] = i >> 1;
    put(32, "\0\0\0\0\0\0\12\0\2\2", 10);
    send(42);
  }
  for (u32 i = 0; i < 2 * EACH; i++) { // IPv4: names and addresses asked for, from anywhere; pieces that overlap; lengths that are none
    head(8, 0);
    fill(HEADER);
    u32 length = 28 + drawn() % (MTU - 28);
    put(14, "\105\0", 2);
    frame[16] = length >> 8;
    frame[17] = length;
    put(20, i % 4 == 1 ? "\40\0" : i % 4 == 2 ? "\40\1" : "\0\0", 2);
    frame[22] = 64;
    frame[23] = i % 8 == 3 ? 1 : 17;
    put(26, i % 3 ? (char *)frame + 100 : "\12\0\2\17", 4);
    put(30, i % 5 ? "\12\0\2\3" : "\377\377\377\377", 4);
    put(36, i & 1 ? "\0\65" : "\0\103", 2);
    frame[38] = (length - 20) >> 8;
    frame[39] = length - 20;
    put(40, "\0\0", 2);
    if (i % 7 == 0) frame[14] = 0x40 | (drawn() >> 28);
    checksum();
    send(HEADER + (i % 11 ? length : drawn() % length));
  }
  for (u32 i = 0; i < EACH; i++) { // anything: IPv6, VLANs, types that nobody knows
    head(i % 3 ? 0x86 : 0x81, i % 3 == 1 ? 0xdd : 0);
    fill(i % 3 == 2 ? 12 : HEADER);
    send(HEADER + drawn() % (MTU + 1));
  }
  call(EXIT, 0, 0, 0, 0, 0, 0);
}
