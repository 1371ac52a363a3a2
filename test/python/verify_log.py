# SPDX-License-Identifier: Apache-2.0
"""An independent verifier for audit logs and evidence bundles, written from the specification (audit reference, sections
2.2 to 2.9; RFC 6962, RFC 8785, FIPS 204, C2SP tlog-cosignature and tlog-proof), not from the product's code.

usage: verify_log.py [--trust FILE] PATH...

Each PATH is a log directory, or a bundle (a directory with bundle.json). One JSON line per path: {"path","ok","codes"},
the codes of what was found in the order in which it was found. Exit status 0 if all is well, else 1.
"""
import base64
import functools
import hashlib
import json
import os
import re
import sqlite3
import struct
import sys

import mldsa44

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
except ImportError:
    MLDSA44PublicKey = None

ALGORITHM = bytes.fromhex("300b0609608648016503040311")
TABLES = {"entry", "payload", "checkpoint", "tile", "evidence", "meta"}
INDEXES = {"entry_ts", "entry_call", "sqlite_autoindex_meta_1"}
COMMON = {"_": str, "log": str, "epoch": int, "idx": int, "prev": str, "wall": int, "mono": int, "kind": str}


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_of(body):
    return sha256(b"\0", body)


def node_of(left, right):
    return sha256(b"\1", left, right)


class Found(Exception):
    """What is wrong is so wrong that nothing more can be read."""


class Tree:
    """RFC 6962: complete subtrees of falling size, from left to right."""

    def __init__(self):
        self.peaks, self.size = [], 0

    def append(self, leaf):
        height = 0
        while self.peaks and self.peaks[-1][0] == height:
            leaf, height = node_of(self.peaks.pop()[1], leaf), height + 1
        self.peaks.append((height, leaf))
        self.size += 1

    def root(self):
        root = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            root = node_of(left, root)
        return root


def is_included(leaf, index, size, path, root):
    """RFC 9162, section 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    if index >= size:
        return False
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_of(p, r)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_of(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def refuse_number(_):
    raise ValueError("only integers")


def canonical(value):
    """RFC 8785 for objects, arrays, strings, bools, null and safe integers."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(canonical(k) + ":" + canonical(v) for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def read_canonical(data):
    """The value, or None unless the bytes are the canonical form of it."""
    try:
        text = data.decode("utf-8")
        value = json.loads(text, parse_float=refuse_number, parse_constant=refuse_number)
        return value if canonical(value).encode("utf-8") == data else None
    except (ValueError, RecursionError, UnicodeError):
        return None


def read_row(body):
    row = read_canonical(body)
    if not isinstance(row, dict) or row.get("_") != "mcp-bastion/audit/1":
        return None
    if any(type(row.get(name)) is not kind for name, kind in COMMON.items()) or "pc" not in row:
        return None
    values = [v for v in row.values() if v is not None]
    if any(type(v) not in (str, int) or type(v) is int and abs(v) > 2**53 - 1 for v in values):
        return None
    return row


def strict_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
        return data if base64.b64encode(data).decode() == text else None
    except ValueError:
        return None


@functools.cache
def verify_signature(key, message, signature):
    if MLDSA44PublicKey is None or os.environ.get("BASTION_MLDSA") == "own":
        return mldsa44.verify(key, message, signature)
    try:
        MLDSA44PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


class Key:
    def __init__(self, vkey):
        match = re.fullmatch(r"([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", vkey or "")
        data = strict_base64(match[3]) if match else None
        if data is None or data[:1] != b"\6" or len(data) != 1 + mldsa44.PUBLIC_KEY_BYTES:
            raise Found("SIG_ALG_UNEXPECTED")
        self.name, self.raw = match[1], data[1:]
        self.id = self.id_for(self.name)
        if self.id.hex() != match[2]:
            raise Found("SIG_ALG_UNEXPECTED")
        bits = b"\3\x82" + struct.pack(">H", len(self.raw) + 1) + b"\0" + self.raw
        spki = b"\x30\x82" + struct.pack(">H", len(ALGORITHM + bits)) + ALGORITHM + bits
        self.fingerprint = sha256(spki).hex()

    def id_for(self, name):
        return sha256(name.encode(), b"\n\6", self.raw)[:4]

    def verifies(self, origin, size, root, ts, signature):
        if not (type(ts) is int and 0 <= ts < 2**63 and isinstance(signature, bytes) and len(signature) == mldsa44.SIGNATURE_BYTES):
            return False
        name = bytes([len(origin.encode())]) + origin.encode()
        message = b"subtree/v1\n\0" + name + struct.pack(">Q", ts) + name + struct.pack(">QQ", 0, size) + root
        return verify_signature(self.raw, message, signature)


def read_note(text):
    """Origin, size, root and signatures by (name, key id), or None."""
    match = re.fullmatch(r"([^\s+]{1,255})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/=]+)\n\n((?:\u2014 [^\s+]+ [A-Za-z0-9+/=]+\n){1,16})", text)
    root = strict_base64(match[3]) if match else None
    if root is None or len(root) != 32:
        return None
    signatures = []
    for line in match[4].splitlines():
        _, name, blob = line.split(" ")
        data = strict_base64(blob)
        if data is None or len(data) <= 4:
            return None
        signatures.append((name, data[:4], data[4:]))
    return match[1], int(match[2]), root, signatures


def signature_of(note, key):
    """Time and signature of the log's own key, or None: the lines of others are passed over."""
    own = [blob for name, key_id, blob in note[3] if name == note[0] and key_id == key.id_for(note[0])]
    if len(own) != 1 or len(own[0]) != 8 + mldsa44.SIGNATURE_BYTES:
        return None
    return struct.unpack(">Q", own[0][:8])[0], own[0][8:]


class Anchors:
    def __init__(self, path, origin):
        self.lines = open(path, "rb").read().split(b"\n")[:-1] if os.path.exists(path) else []
        # Not in the specification's text: what the first line names as the one before.
        self.prev, self.at, self.size, self.broken = sha256(b"mcp-bastion/anchor/1\0" + origin.encode()).hex(), 0, 0, False

    def head(self):
        if self.broken or self.at >= len(self.lines):
            return None
        line = read_canonical(self.lines[self.at])
        fits = isinstance(line, dict) and set(line) == {"n", "note", "prev"} and line["n"] == self.at and type(line["n"]) is int
        note = read_note(line["note"]) if fits and line["prev"] == self.prev and isinstance(line["note"], str) else None
        if note is None or note[1] < self.size:
            self.broken = True
            return None
        return note

    def advance(self, note):
        self.prev, self.size, self.at = sha256(self.lines[self.at]).hex(), note[1], self.at + 1


def open_log(path):
    query = "?mode=ro" if os.path.exists(path + "-wal") else "?immutable=1"
    # Not with trusted_schema = OFF: SQLite before 3.41 then refuses the json_extract of our generated columns. The names
    # of all objects are checked before anything else is read.
    return sqlite3.connect("file:" + path + query, uri=True)


class Segment:
    def __init__(self, path, trust, found):
        self.path, self.trust, self.found = path, trust, found
        self.log = self.epoch = self.origin = self.end = self.key = self.previous = None
        self.tree, self.signed, self.checkpoints, self.anchored_at = Tree(), None, 0, 0

    def verify(self):
        try:
            db = open_log(self.path)
            objects = {(kind, name) for kind, name in db.execute("SELECT type, name FROM sqlite_schema")}
            expected = {("table", name) for name in TABLES} | {("index", name) for name in INDEXES}
            if objects != expected:
                self.found("SCHEMA_UNEXPECTED")
                if not {("table", name) for name in TABLES} <= objects:
                    return
            vkey = db.execute("SELECT v FROM meta WHERE k = 'vkey'").fetchone()
            try:
                self.key = Key(vkey[0] if vkey else None)
            except Found as wrong:
                self.found(str(wrong))
            self.payloads = {row[0]: row[1:] for row in db.execute("SELECT idx, salt, media, data FROM payload")}
            self.stored = sorted(db.execute("SELECT size, root, ts, key_id, sig FROM checkpoint"))
            for row in db.execute("SELECT idx, CAST(body AS BLOB), leaf FROM entry ORDER BY idx"):
                self.row(*row)
            self.finish()
        except sqlite3.Error:
            self.found("DB_CORRUPT")

    def row(self, idx, body, leaf):
        expected = self.tree.size if self.end is None else self.end + 1
        if idx < self.tree.size:
            self.found("ROW_DUPLICATE")
        elif idx > expected:
            self.found("ROW_MISSING")
        if idx >= expected:
            self.end = idx
        computed, row = leaf_of(body or b""), read_row(body or b"")
        if leaf != computed:
            self.found("LEAF_MISMATCH")
        if row is None:
            self.found("ROW_BODY_NONCANONICAL")
        else:
            self.fields(idx, row)
        self.payload(idx, row)
        self.tree.append(computed)
        self.prev = computed.hex()
        while self.stored and self.stored[0][0] <= self.tree.size:
            self.checkpoint(*self.stored.pop(0))
        self.anchor_lines()

    def fields(self, idx, row):
        if self.log is None:
            self.log, self.epoch = row["log"], row["epoch"]
            self.origin = f"localhost/mcp-bastion/{self.log}/{self.epoch}"
            self.anchors = Anchors(re.sub(r"\.sqlite$", "", self.path) + ".anchor.jsonl", self.origin)
            if self.tree.size == 0:
                self.prev = sha256(b"mcp-bastion/genesis/1", bytes.fromhex(self.log)).hex()
            if os.path.basename(self.path) != f"{self.epoch:012d}.sqlite":
                self.found("ROW_FIELD_MISMATCH")
            if self.key and self.key.name != self.origin:
                self.found("KEY_SWAPPED")
        if (row["log"], row["epoch"], row["idx"]) != (self.log, self.epoch, idx):
            self.found("ROW_FIELD_MISMATCH")
        if row["idx"] != idx:
            self.found("ROW_REORDERED")
        if row["prev"] != self.prev:
            self.found("PREV_MISMATCH")
        if row["kind"] == "boot":
            if self.key is None or row.get("key") != self.key.fingerprint:
                self.found("KEY_SWAPPED")
            named = [row.get("prev_origin"), row.get("prev_size"), row.get("prev_root")]
            if named.count(None) not in ((0, 3) if self.tree.size == 0 else (3,)):
                self.found("ROW_FIELD_MISMATCH")
            elif named.count(None) == 0:
                self.previous = tuple(named)
        elif self.tree.size == 0:
            self.found("ROW_MISSING")

    def payload(self, idx, row):
        for at in sorted(at for at in self.payloads if at <= idx):
            salt, media, data = self.payloads.pop(at)
            fits = at == idx and row is not None and isinstance(salt, bytes) and len(salt) == 32 and isinstance(data, bytes)
            fits = fits and media in ("application/json", "text/plain")
            if not fits or len(data) != row["pc_bytes"] or commitment(salt, data) != row["pc"]:
                self.found("PAYLOAD_MISMATCH")

    def checkpoint(self, size, root, ts, key_id, sig):
        if size != self.tree.size:
            self.found("ROOT_MISMATCH")
            return
        self.checkpoints += 1
        if not sig:
            self.found("SIG_MISSING")
        if root != self.tree.root():
            self.found("ROOT_MISMATCH")
        if not isinstance(root, bytes) or len(root) != 32 or self.origin is None:
            return
        if self.key:
            if key_id != self.key.id_for(self.origin):
                self.found("KEY_SWAPPED")
            if not self.key.verifies(self.origin, size, root, ts, sig):
                self.found("SIG_INVALID")
        if self.signed and (ts or 0) < (self.signed[1] or 0):
            self.found("CHECKPOINT_REGRESSION")
        self.signed = (size, ts, root)

    def anchor_lines(self):
        if self.origin is None:
            return
        while (note := self.anchors.head()) and note[1] <= self.tree.size:
            self.anchors.advance(note)
            own = signature_of(note, self.key) if self.key else None
            if note[0] != self.origin or note[1] != self.tree.size:
                self.found("ANCHOR_CHAIN_BROKEN")
            elif own is None:
                self.found("SIG_MISSING")
            elif not self.key.verifies(note[0], note[1], note[2], *own):
                self.found("SIG_INVALID")
            elif note[2] != self.tree.root():
                self.found("ANCHOR_FORK")
            else:
                self.anchored_at = self.checkpoints
        if self.checkpoints - self.anchored_at > 65:
            self.found("ANCHOR_MISSING")

    def finish(self):
        if self.tree.size == 0:
            self.found("ROW_MISSING")
        if self.tree.size > (self.signed[0] if self.signed else 0):
            self.found("UNSIGNED_TAIL")
        if self.stored:
            self.found("ROW_MISSING")
        if self.payloads:
            self.found("PAYLOAD_MISMATCH")
        if self.origin is not None:
            self.finish_anchors()
        if self.trust is not None and (self.key is None or self.key.fingerprint not in self.trust.get(self.log, [])):
            self.found("KEY_UNKNOWN")

    def finish_anchors(self):
        ahead = self.anchors.head()
        if self.anchors.broken:
            self.found("ANCHOR_CHAIN_BROKEN")
        if ahead:
            own = signature_of(ahead, self.key) if self.key else None
            genuine = own is not None and self.key.verifies(ahead[0], ahead[1], ahead[2], *own)
            self.found("ANCHOR_AHEAD" if genuine else "SIG_INVALID")
        if self.anchors.at == 0 and self.checkpoints > 1:
            self.found("ANCHOR_MISSING")


def commitment(salt, data):
    return sha256(b"mcp-bastion/payload/1\0", salt, struct.pack(">Q", len(data)), data).hex()


def verify_directory(path, trust, found):
    names = os.listdir(path)
    segments = sorted(name for name in names if re.fullmatch(r"[0-9]{12}\.sqlite", name))
    before = None
    for name in segments:
        segment = Segment(os.path.join(path, name), trust, found)
        segment.verify()
        if segment.epoch is None:
            continue
        ended = (before.origin, before.signed[0], before.signed[2].hex()) if before and before.signed else None
        if before and before.log != segment.log:
            found("ROW_FIELD_MISMATCH")
        if (before and segment.epoch > before.epoch + 1) or (before is None and (segment.previous or segment.epoch != 1)):
            found("EPOCH_GAP")
        elif before and (segment.previous is None or ended is None or segment.previous[0] != ended[0]):
            found("EPOCH_GAP")
        elif before and segment.previous != ended:
            found("EPOCH_OVERLAP")
        before = segment
    if any(f"{name[:12]}.sqlite" not in names for name in names if name.endswith(".anchor.jsonl")):
        found("ANCHOR_AHEAD")
    if not segments:
        found("ROW_MISSING")


NAME = re.compile(r"bundle\.json|rows\.jsonl|payloads\.jsonl|checkpoint\.txt|key\.vkey|trust\.json|policy\.txt|attestation\.cbor|README\.txt|SHA256SUMS|proofs/[0-9]{12}\.tlog-proof")


def read_bundle(path):
    files = {}
    for folder, folders, names in os.walk(path):
        prefix = "" if folder == path else os.path.relpath(folder, path) + "/"
        if prefix not in ("", "proofs/") or any(os.path.islink(os.path.join(folder, name)) for name in folders):
            raise Found("BUNDLE_PATH")
        for name in names:
            full = os.path.join(folder, name)
            if not NAME.fullmatch(prefix + name):
                raise Found("BUNDLE_PATH")
            if os.path.islink(full) or not os.path.isfile(full):
                raise Found("BUNDLE_LINK")
            if os.path.getsize(full) > 512 << 20:
                raise Found("BUNDLE_SIZE")
            files[prefix + name] = open(full, "rb").read()
    listed = set()
    for line in files.get("SHA256SUMS", b"").decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if not match:
            raise Found("BUNDLE_INVALID")
        if not NAME.fullmatch(match[2]):
            raise Found("BUNDLE_PATH")
        if match[2] in listed:
            raise Found("BUNDLE_DUPLICATE")
        listed.add(match[2])
        if match[2] not in files:
            raise Found("BUNDLE_INVALID")
        if hashlib.sha256(files[match[2]]).hexdigest() != match[1]:
            raise Found("BUNDLE_SUM")
    if listed != set(files) - {"SHA256SUMS"} or not {"bundle.json", "rows.jsonl", "checkpoint.txt", "key.vkey"} <= listed:
        raise Found("BUNDLE_INVALID")
    return files


def read_proof(data, note):
    match = re.fullmatch(r"c2sp\.org/tlog-proof@v1\nindex (0|[1-9][0-9]*)\n((?:[A-Za-z0-9+/]{43}=\n)*)\n", data[: len(data) - len(note)].decode("utf-8", "replace"))
    if not match or not data.endswith(note):
        return None
    path = [strict_base64(line) for line in match[2].splitlines()]
    return None if None in path else (int(match[1]), path)


def verify_bundle(path, trust, found):
    files = read_bundle(path)
    manifest = read_canonical(files["bundle.json"].removesuffix(b"\n"))
    if not isinstance(manifest, dict) or set(manifest) != {"format", "origin", "first", "last", "size"} or type(manifest["size"]) is not int or manifest["size"] > 2**53 - 1:
        raise Found("BUNDLE_INVALID")
    key, note_text = Key(files["key.vkey"].decode("utf-8", "replace").removesuffix("\n")), files["checkpoint.txt"]
    lines = files["rows.jsonl"].removesuffix(b"\n").split(b"\n")
    if len(lines) != manifest["last"] - manifest["first"] + 1:
        found("ROW_MISSING")
    note = read_note(note_text.decode("utf-8", "replace"))
    own = signature_of(note, key) if note else None
    signed = own is not None and key.verifies(note[0], note[1], note[2], *own)
    rows, before = [], None
    for idx, body in enumerate(lines, manifest["first"]):
        row, proof = read_row(body), read_proof(files.get(f"proofs/{idx:012d}.tlog-proof", b""), note_text)
        code = None
        if proof is None or note is None:
            code = "PROOF_INVALID"
        elif row is None:
            code = "ROW_BODY_NONCANONICAL"
        elif row["idx"] != proof[0] or note[0] != f"localhost/mcp-bastion/{row['log']}/{row['epoch']}":
            code = "ROW_FIELD_MISMATCH"
        elif not signed:
            code = "SIG_MISSING" if own is None else "SIG_INVALID"
        elif not is_included(leaf_of(body), proof[0], note[1], proof[1], note[2]):
            code = "PROOF_INVALID"
        elif row["idx"] != idx:
            code = "ROW_REORDERED"
        elif before is not None and row["prev"] != before:
            code = "PREV_MISMATCH"
        elif note[:2] != (manifest["origin"], manifest["size"]):
            code = "ROW_FIELD_MISMATCH"
        if code:
            found(code)
        before = None if code else leaf_of(body).hex()
        rows += [] if code else [row]
    if sum(name.startswith("proofs/") for name in files) != len(lines):
        found("BUNDLE_INVALID")
    if trust is not None and not (rows and key.fingerprint in trust.get(rows[0]["log"], [])):
        found("KEY_UNKNOWN")
    owners = {row["idx"]: row for row in rows}
    for line in files.get("payloads.jsonl", b"").splitlines():
        held = read_canonical(line)
        owner = owners.pop(held.get("idx"), None) if isinstance(held, dict) else None
        data = strict_base64(held["data"]) if owner else None
        if data is None or commitment(bytes.fromhex(held["salt"]), data) != owner["pc"]:
            found("PAYLOAD_MISMATCH")
    if "policy.txt" in files and hashlib.sha256(files["policy.txt"]).hexdigest() not in {row.get("policy") for row in rows}:
        found("POLICY_MISMATCH")


def main(args):
    trust, ok = None, True
    if args[:1] == ["--trust"]:
        trust, args = json.load(open(args[1]))["logs"], args[2:]
    for path in args:
        codes = []

        def found(code):
            codes.append(code)

        try:
            (verify_bundle if os.path.exists(os.path.join(path, "bundle.json")) else verify_directory)(path, trust, found)
        except Found as wrong:
            codes.append(str(wrong))
        print(json.dumps({"path": path, "ok": not codes, "codes": list(dict.fromkeys(codes))}))
        ok = ok and not codes
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
