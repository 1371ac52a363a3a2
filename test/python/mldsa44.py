# SPDX-License-Identifier: Apache-2.0
"""ML-DSA-44 verification (FIPS 204, pure, empty context), written from the standard: algorithms 3, 8, 23, 27 to 32, 41.

Run by itself it reads lines of "KEY MESSAGE SIGNATURE" in hex and prints true or false for each.

Only hashlib is needed. Slow (some tens of milliseconds), and not constant in time: all it handles is public.
"""
import hashlib
import sys

Q, D, N = 8380417, 13, 256
K, L, TAU, OMEGA = 4, 4, 39, 80
GAMMA1, GAMMA2, BETA = 1 << 17, (Q - 1) // 88, 78
PUBLIC_KEY_BYTES, SIGNATURE_BYTES = 32 + K * 320, 32 + L * 576 + OMEGA + K


def bit_reversed(value):
    return int(f"{value:08b}"[::-1], 2)


ZETAS = [pow(1753, bit_reversed(k), Q) for k in range(N)]


def ntt(poly):
    w, k, half = list(poly), 0, 128
    while half >= 1:
        for start in range(0, N, 2 * half):
            k += 1
            for j in range(start, start + half):
                t = ZETAS[k] * w[j + half] % Q
                w[j], w[j + half] = (w[j] + t) % Q, (w[j] - t) % Q
        half //= 2
    return w


def inverse_ntt(poly):
    w, k, half = list(poly), N, 1
    while half < N:
        for start in range(0, N, 2 * half):
            k -= 1
            for j in range(start, start + half):
                t = w[j]
                w[j], w[j + half] = (t + w[j + half]) % Q, -ZETAS[k] * (t - w[j + half]) % Q
        half *= 2
    return [8347681 * x % Q for x in w]


def bits_of(data, width):
    value, count = int.from_bytes(data, "little"), len(data) * 8 // width
    return [(value >> (width * i)) & ((1 << width) - 1) for i in range(count)]


def expand_a(rho):
    return [[reject_ntt(rho + bytes([s, r])) for s in range(L)] for r in range(K)]


def reject_ntt(seed):
    stream, poly = hashlib.shake_128(seed).digest(168 * 8), []
    for at in range(0, len(stream) - 2, 3):
        value = stream[at] | stream[at + 1] << 8 | (stream[at + 2] & 0x7F) << 16
        if value < Q:
            poly.append(value)
            if len(poly) == N:
                return poly
    raise AssertionError("1344 bytes give 256 coefficients but for one seed in 2**100")


def sample_in_ball(seed):
    stream = hashlib.shake_256(seed).digest(8 + 1024)
    signs, at, c = int.from_bytes(stream[:8], "little"), 8, [0] * N
    for i in range(N - TAU, N):
        while stream[at] > i:
            at += 1
        j, at = stream[at], at + 1
        c[i], c[j] = c[j], 1 - 2 * (signs & 1)
        signs >>= 1
    return c


def unpack_hint(data):
    hint, index = [[0] * N for _ in range(K)], 0
    for i in range(K):
        end = data[OMEGA + i]
        if end < index or end > OMEGA:
            return None
        first = index
        while index < end:
            if index > first and data[index - 1] >= data[index]:
                return None
            hint[i][data[index]] = 1
            index += 1
    return None if any(data[index:OMEGA]) else hint


def use_hint(h, r):
    r0 = r % (2 * GAMMA2)
    if r0 > GAMMA2:
        r0 -= 2 * GAMMA2
    r1, r0 = (0, r0 - 1) if r - r0 == Q - 1 else ((r - r0) // (2 * GAMMA2), r0)
    if h == 0:
        return r1
    return (r1 + (1 if r0 > 0 else -1)) % 44


def verify(public_key, message, signature):
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    rho, t1 = public_key[:32], [bits_of(public_key[32 + 320 * i : 352 + 320 * i], 10) for i in range(K)]
    challenge = signature[:32]
    z = [[GAMMA1 - x for x in bits_of(signature[32 + 576 * i : 608 + 576 * i], 18)] for i in range(L)]
    hint = unpack_hint(signature[32 + 576 * L :])
    if hint is None or any(abs(x) >= GAMMA1 - BETA for poly in z for x in poly):
        return False
    tr = hashlib.shake_256(public_key).digest(64)
    mu = hashlib.shake_256(tr + b"\0\0" + message).digest(64)
    c = ntt(sample_in_ball(challenge))
    zs = [ntt(poly) for poly in z]
    packed = b""
    for i, row in enumerate(expand_a(rho)):
        t = ntt([x << D for x in t1[i]])
        w = [(sum(row[j][n] * zs[j][n] for j in range(L)) - c[n] * t[n]) % Q for n in range(N)]
        w1 = [use_hint(h, r) for h, r in zip(hint[i], inverse_ntt(w))]
        packed += sum(x << (6 * n) for n, x in enumerate(w1)).to_bytes(192, "little")
    return hashlib.shake_256(mu + packed).digest(32) == challenge


if __name__ == "__main__":
    for line in sys.stdin:
        print("true" if verify(*(bytes.fromhex(word) for word in line.split(" "))) else "false")
