"""Constants as bytes: layouts spelled out, and pack/unpack as inverses."""

import numpy as np
import pytest

from kerasq.format.packing import pack, unpack
from kerasq.format.schema import TYPES
from kerasq.qformat import QFormat


def random_values(format, shape, seed=0):
    random = np.random.default_rng(seed)
    if format.is_float:
        return random.normal(size=shape).astype(np.float32)
    if format.is_sign:
        return random.choice(np.array([-1, 1], np.int8), shape)
    return random.integers(format.min_int, format.max_int, shape, endpoint=True).astype(format.dtype)


@pytest.mark.parametrize(
    ("format", "values", "packed"),
    [
        ("FIXED8_0", [[-1, 2]], b"\xff\x02"),
        ("UFIXED8_0", [255, 1], b"\xff\x01"),
        ("FIXED16_0", [1, -2], b"\x01\x00\xfe\xff"),
        ("FIXED32_0", [-2], b"\xfe\xff\xff\xff"),
        ("FLOAT32", [1.0], b"\x00\x00\x80\x3f"),
        ("FIXED4_0", [1, -1, -8], b"\xf1\x08"),
        ("UFIXED4_0", [15, 0, 7], b"\x0f\x07"),
        ("FIXED2_0", [[1, -1, -2, 0], [0, 0, 1, 0]], b"\x2d\x10"),
        ("FIXED2_0", [[1, -2, -1], [0, 1, -2]], b"\x39\x09"),
        ("SIGN", [[1, -1, -1, 1], [-1, -1, 1, -1]], b"\x09\x00\x00\x00\x04\x00\x00\x00"),
        ("SIGN", [[1] + [-1] * 30 + [1, 1]], b"\x01\x00\x00\x80\x01\x00\x00\x00"),
        ("SIGN", [1, -1], b"\x01\x00\x00\x00\x00\x00\x00\x00"),
    ],
)
def test_layout(format, values, packed):
    format = QFormat.parse(format)
    values = np.array(values, format.dtype)
    assert pack(values, format) == packed
    np.testing.assert_array_equal(unpack(packed, format, values.shape), values)


@pytest.mark.parametrize("family", TYPES)
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 3, 1), (5, 1, 1, 33)])
def test_inverse(family, shape):
    format = QFormat.parse(family)
    values = random_values(format, shape)
    packed = pack(values, format)
    assert len(packed) == format.nbytes(shape)
    restored = unpack(packed, format, shape)
    assert restored.dtype == format.dtype
    np.testing.assert_array_equal(restored, values)


@pytest.mark.parametrize("family", ["SIGN", "FIXED2", "FIXED4", "UFIXED4"])
def test_every_row_length(family):
    format = QFormat.parse(family)
    for length in range(1, 131):
        for shape in ((length,), (3, length), (length, 1, 1, 3)):
            values = random_values(format, shape, seed=length)
            np.testing.assert_array_equal(unpack(pack(values, format), format, shape), values, err_msg=str(shape))


def test_order_in_memory_does_not_matter():
    values = random_values(QFormat.parse("FIXED16"), (4, 6))
    transposed = np.ascontiguousarray(values.T).T
    assert pack(values, QFormat.parse("FIXED16")) == pack(transposed, QFormat.parse("FIXED16"))
    assert pack(values.astype(">i2"), QFormat.parse("FIXED16")) == pack(values, QFormat.parse("FIXED16"))


def test_unpacked_values_are_read_only():
    for family in TYPES:
        format = QFormat.parse(family)
        assert not unpack(pack(random_values(format, (3, 3)), format), format, (3, 3)).flags.writeable


def test_zero_is_not_a_sign():
    with pytest.raises(ValueError, match=r"SIGN stores \+1 and -1 only"):
        pack(np.array([1, 0, -1], np.int8), QFormat.parse("SIGN"))


@pytest.mark.parametrize(("family", "value"), [("FIXED2", 2), ("FIXED2", -3), ("FIXED4", 8), ("FIXED4", -9), ("UFIXED4", 16)])
def test_too_large_for_few_bits(family, value):
    format = QFormat.parse(family)
    with pytest.raises(ValueError, match=family):
        pack(np.array([value], format.dtype), format)


@pytest.mark.parametrize(
    ("family", "shape", "packed", "message"),
    [
        ("FIXED8", (3,), b"\0\0", "takes 3 bytes. Received: 2 bytes"),
        ("FIXED16", (3,), bytes(7), "takes 6 bytes"),
        ("SIGN", (2, 3), bytes(4), "takes 8 bytes"),
        ("SIGN", (1, 3), b"\x08\0\0\0", "after the last value"),
        ("SIGN", (1, 3), b"\x00\0\0\x80", "after the last value"),
        ("FIXED2", (5,), b"\0\x04", "after the last value"),
        ("FIXED2", (3,), b"\x80", "after the last value"),
        ("FIXED4", (3,), b"\0\x10", "after the last value"),
        ("UFIXED4", (1,), b"\x80", "after the last value"),
    ],
)
def test_refused_bytes(family, shape, packed, message):
    with pytest.raises(ValueError, match=message):
        unpack(packed, QFormat.parse(family), shape)
