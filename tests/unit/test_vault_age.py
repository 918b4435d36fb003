"""What a vault encrypts, age reads, and the reverse; and no stored byte can be changed, added or taken away unseen."""

import io
import random

import pyrage
import pytest

from tasks.vault import age
from tasks.vault.age import AgeError, OtherKeys, decrypted, encrypted
from tasks.vault.keys import Identity, new_key, recipients

FIRST, SECOND = new_key(), new_key()
CHUNK = 1 << 16
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5]


def keys(*pairs):
    return [one.key for one in recipients([pair.recipient for pair in pairs])]


def secret(pair):
    return Identity(pair.identity).key


def noise(size):
    return random.Random(size).randbytes(size)  # noqa: S311 - spread, not secrecy


def pieces(data, size=1000):
    return [data[at : at + size] for at in range(0, len(data), size)]


def sealed(data, *pairs):
    return b"".join(encrypted(pieces(data), keys(*(pairs or (FIRST,)))))


def opened(data, pair=FIRST, size=777):
    return b"".join(decrypted(pieces(data, size), secret(pair)))


@pytest.mark.parametrize("size", SIZES)
def test_another_age_reads_what_is_written_here_and_the_reverse(size):
    data = noise(size)
    theirs = [pyrage.x25519.Identity.from_str(pair.identity) for pair in (FIRST, SECOND)]
    ours = sealed(data, FIRST, SECOND)
    for pair, identity in zip((FIRST, SECOND), theirs, strict=True):
        assert pyrage.decrypt(ours, [identity]) == data
        assert opened(ours, pair) == data
        assert opened(pyrage.encrypt(data, [one.to_public() for one in theirs]), pair) == data


@pytest.mark.parametrize("size", [1, 13, CHUNK + 16, 10 * CHUNK])
def test_pieces_may_be_of_any_size(size):
    data = noise(2 * CHUNK)
    assert b"".join(encrypted(pieces(data, size), keys(FIRST)))[:21] == b"age-encryption.org/v1"
    assert opened(sealed(data), size=size) == data


def test_other_keys_open_nothing_and_are_told_as_such():
    with pytest.raises(OtherKeys):
        opened(sealed(b"secret", SECOND))


def test_no_byte_of_the_header_and_none_of_the_chunks_can_be_changed_unseen():
    whole = sealed(noise(CHUNK + 100))
    start = whole.index(b"\n---") + 100
    for at in [*range(start), *range(start, len(whole), 9973), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(AgeError):
            opened(bytes(damaged))


def test_a_file_that_was_cut_or_grew_or_was_put_together_otherwise_is_refused():
    whole = sealed(noise(3 * CHUNK))
    start = len(whole) - 3 * (CHUNK + 16)
    first, second, third = (
        whole[start + at : start + at + CHUNK + 16] for at in range(0, 3 * (CHUNK + 16), CHUNK + 16)
    )
    ends = [*range(0, start + 40, 7), start + CHUNK + 16, start + 2 * (CHUNK + 16), len(whole) - 1]
    cut = [whole[:end] for end in ends]
    others = [whole + b"\0", whole[:start] + second + first + third, whole[:start] + first + third, whole + third]
    for changed in [*cut, *others, b"", b"\n" * 50, b"age-encryption.org/v2\n"]:
        with pytest.raises(AgeError):
            opened(changed)


def test_an_empty_chunk_behind_others_is_refused_as_age_itself_does():
    head = io.BytesIO()
    key = bytes(16)
    stanza = b"\n".join([b"age-encryption.org/v1", *age._stanza(key, keys(FIRST)[0]), b"---"])
    head.write(stanza + b" " + age._text(age._mac(key, stanza)) + b"\n" + bytes(16))
    seal = age.ChaCha20Poly1305(age._derived(key, bytes(16), b"payload"))
    first = seal.encrypt(bytes(12), bytes(CHUNK), None)
    last = seal.encrypt((1).to_bytes(11, "big") + b"\1", b"", None)
    with pytest.raises(AgeError, match="empty"):
        opened(head.getvalue() + first + last)
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(head.getvalue() + first + last, [pyrage.x25519.Identity.from_str(FIRST.identity)])
