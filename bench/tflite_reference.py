"""A second witness for TFLite files: the published arithmetic of the reference kernels in numpy's 64-bit integers.

    python3 bench/tflite_reference.py MODEL.tflite INPUT.bin OUTPUT.bin [double|single [MODEL.tflite ...]]

Reads the file by field numbers of schema.fbs, runs rows of its input through its operators, and writes the output's bytes. A
SOFTMAX, ARG_MAX or DEQUANTIZE is passed over: what stands before it at the end is written, of a QUANTIZE at the start what it makes read. Shares no line with the importer.
"""
import struct
import sys

import numpy as np

NAMES = """ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D
MUL RELU RELU_N1_TO_1 RELU6 RESHAPE""".split()
CODES = {25: 'SOFTMAX', 34: 'PAD', 39: 'TRANSPOSE', 40: 'MEAN', 41: 'SUB', 43: 'SQUEEZE', 45: 'STRIDED_SLICE', 55: 'MAXIMUM',
    56: 'ARG_MAX', 57: 'MINIMUM', 70: 'EXPAND_DIMS', 77: 'SHAPE', 82: 'REDUCE_MAX', 83: 'PACK', 114: 'QUANTIZE'}
KINDS = {0: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 7: np.int16, 9: np.int8}


class Table:
    def __init__(self, b, at):
        self.b, self.at = b, at
        self.vtable = at - struct.unpack_from('<i', b, at)[0]
        self.size = struct.unpack_from('<H', b, self.vtable)[0]

    def place(self, field):
        entry = 4 + 2 * field
        if entry >= self.size:
            return None
        offset = struct.unpack_from('<H', self.b, self.vtable + entry)[0]
        return self.at + offset if offset else None

    def number(self, field, form, absent=0):
        at = self.place(field)
        return absent if at is None else struct.unpack_from('<' + form, self.b, at)[0]

    def follow(self, field):
        at = self.place(field)
        return None if at is None else at + struct.unpack_from('<I', self.b, at)[0]

    def table(self, field):
        at = self.follow(field)
        return None if at is None else Table(self.b, at)

    def vector(self, field, form):
        at = self.follow(field)
        if at is None:
            return []
        count = struct.unpack_from('<I', self.b, at)[0]
        return list(struct.unpack_from(f'<{count}{form}', self.b, at + 4))

    def tables(self, field):
        at = self.follow(field)
        if at is None:
            return []
        count = struct.unpack_from('<I', self.b, at)[0]
        places = [at + 4 + 4 * i for i in range(count)]
        return [Table(self.b, p + struct.unpack_from('<I', self.b, p)[0]) for p in places]

    def data(self, field):
        at = self.follow(field)
        if at is None:
            return b''
        count = struct.unpack_from('<I', self.b, at)[0]
        return self.b[at + 4 : at + 4 + count]


class Tensor:
    def __init__(self, table, buffers):
        self.shape = table.vector(0, 'i')
        self.kind = table.number(1, 'b')
        q = table.table(4)
        self.scales = np.array(q.vector(2, 'f') if q else [], np.float32)
        self.zeros = q.vector(3, 'q') if q else []
        data = buffers[table.number(2, 'I')].data(0)
        self.value = np.frombuffer(data, KINDS[self.kind]).reshape(self.shape) if data and self.kind in KINDS else None

    scale = property(lambda self: float(self.scales[0]))
    zero = property(lambda self: self.zeros[0] if self.zeros else 0)

    def range(self):
        info = np.iinfo(KINDS[self.kind])
        return info.min, info.max


def quantize_multiplier(real):
    fraction, exponent = np.frexp(real)
    fixed = int(np.floor(fraction * 2**31 + 0.5))
    if fixed == 2**31:
        fixed, exponent = fixed // 2, exponent + 1
    return (0, 0) if exponent < -31 else (fixed, int(exponent))


def pot(x, exponent):
    """RoundingDivideByPOT with mask, remainder and threshold."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


class Interpreter:
    def __init__(self, path, rounding):
        b = open(path, 'rb').read()
        root = Table(b, struct.unpack_from('<I', b, 0)[0])
        graph = root.tables(2)[0]
        buffers = root.tables(4)
        self.codes = [max(t.number(0, 'b'), t.number(3, 'i')) for t in root.tables(1)]
        self.tensors = [Tensor(t, buffers) for t in graph.tables(0)]
        self.inputs, self.outputs = graph.vector(1, 'i'), graph.vector(2, 'i')
        self.operators = graph.tables(3)
        self.rounding = rounding

    def scaled(self, x, multiplier):
        """MultiplyByQuantizedMultiplier of int64 numbers."""
        fixed, exponent = multiplier
        fixed = np.int64(fixed)
        if self.rounding == 'single':
            shift = np.int64(31 - exponent)
            return (x * fixed + (np.int64(1) << (shift - 1))) >> shift
        product = (x << max(0, exponent)) * fixed
        nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
        high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
        return pot(high, np.int64(max(0, -exponent)))

    @staticmethod
    def scaled_wide(x, multiplier):
        """The same of 64-bit sums, as inputs of 16 bits have: the multiplier on 16 bits, one rounding."""
        fixed, exponent = multiplier
        reduced = np.int64((fixed + (1 << 15)) >> 16 if fixed < 0x7FFF0000 else 0x7FFF)
        shift = np.int64(15 - exponent)
        return (x * reduced + (np.int64(1) << (shift - 1))) >> shift

    def run(self, row):
        values = {self.inputs[0]: row.astype(np.int64)}
        last = self.made = None
        for op in self.operators:
            code = self.codes[op.number(0, 'I')]
            name = CODES.get(code) or (NAMES[code] if code < len(NAMES) else f'BUILTIN_{code}')
            ins, outs = op.vector(1, 'i'), op.vector(2, 'i')
            if name in ('SHAPE', 'STRIDED_SLICE', 'PACK') and self.tensors[outs[0]].kind == 2:
                continue  # Arithmetic of shapes: a file's tensors have theirs already.
            if name in ('SOFTMAX', 'ARG_MAX', 'DEQUANTIZE') or self.tensors[ins[0]].kind == 0:
                values[outs[0]] = values[ins[0]]
                continue
            x = values.get(ins[0])
            self.made = outs[0]
            operator = getattr(self, name.lower(), None)
            if operator is None:
                raise SystemExit(f"this witness does not know {name}")
            values[outs[0]] = last = operator(op.table(4), ins, outs[0], x, values)
        return values[self.outputs[0]]

    def finish(self, q, out, activation):
        t = self.tensors[out]
        lo, hi = t.range()
        near = lambda real: t.zero + int(np.round(np.float32(real) / np.float32(t.scale)))
        if activation in (1, 3):
            lo = max(lo, near(0))
        if activation == 3:
            hi = min(hi, near(6))
        return np.clip(q + t.zero, lo, hi)

    def linear(self, acc, ins, out, activation, axis, doubles):
        """Adds the bias, scales by channel (the last dimension), clamps."""
        x, w, y = self.tensors[ins[0]], self.tensors[ins[1]], self.tensors[out]
        if len(ins) > 2 and ins[2] >= 0:
            acc = acc + self.tensors[ins[2]].value.astype(np.int64)
        # Of convolutions those of older converters have biases, and so sums, of 32 bits.
        wide = x.kind == 7 and (axis is None or len(ins) < 3 or ins[2] < 0 or self.tensors[ins[2]].kind == 4)
        result = np.empty_like(acc)
        for c in range(acc.shape[-1]):
            sw = w.scales[c if len(w.scales) > 1 else 0]
            product = float(x.scale) * float(sw) if doubles else float(np.float32(x.scale) * np.float32(sw))
            result[..., c] = (self.scaled_wide if wide else self.scaled)(acc[..., c], quantize_multiplier(product / y.scale))
        return self.finish(result, out, activation)

    def windows(self, x, options, kernel, fill, dilation=(1, 1)):
        """Image [h, w, c] to [rows, columns, kh, kw, c], and how many taps lie in the image."""
        same = options.number(0, 'b') == 0
        strides = options.number(2, 'i', 1), options.number(1, 'i', 1)
        axes = []
        for size, k, s, d in zip(x.shape, kernel, strides, dilation):
            reach = (k - 1) * d + 1
            outs = -(-size // s) if same else -(-(size - reach + 1) // s)
            before = max(0, (outs - 1) * s + reach - size) // 2 if same else 0
            axes.append(np.arange(outs)[:, None] * s - before + np.arange(k)[None, :] * d)
        y, xx = axes
        inside = ((y >= 0) & (y < x.shape[0]))[:, None, :, None] & ((xx >= 0) & (xx < x.shape[1]))[None, :, None, :]
        taken = x[y.clip(0, x.shape[0] - 1)[:, None, :, None], xx.clip(0, x.shape[1] - 1)[None, :, None, :]]
        return np.where(inside[..., None], taken, fill), inside.sum((2, 3))

    def image(self, x, tensor):
        return x.reshape(self.tensors[tensor].shape[-3:])

    def conv_2d(self, options, ins, out, x, values):
        w = self.tensors[ins[1]]
        weights = w.value.astype(np.int64) - w.zero
        dilation = options.number(5, 'i', 1), options.number(4, 'i', 1)
        taps, _ = self.windows(self.image(x, ins[0]) - self.tensors[ins[0]].zero, options, w.shape[1:3], 0, dilation)
        acc = np.tensordot(taps, weights, axes=([2, 3, 4], [1, 2, 3]))
        return self.linear(acc, ins, out, options.number(3, 'b'), 0, self.tensors[ins[0]].kind in (7, 9))

    def depthwise_conv_2d(self, options, ins, out, x, values):
        w = self.tensors[ins[1]]
        weights = w.value.astype(np.int64)[0] - w.zero
        dilation = options.number(6, 'i', 1), options.number(5, 'i', 1)
        taps, _ = self.windows(self.image(x, ins[0]) - self.tensors[ins[0]].zero, options, w.shape[1:3], 0, dilation)
        taps = np.repeat(taps, weights.shape[-1] // taps.shape[-1], axis=-1)
        acc = (taps * weights).sum((2, 3))
        return self.linear(acc, ins, out, options.number(4, 'b'), 3, self.tensors[ins[0]].kind in (7, 9))

    def fully_connected(self, options, ins, out, x, values):
        w = self.tensors[ins[1]]
        weights = w.value.astype(np.int64) - w.zero
        rows = x.reshape(-1, weights.shape[1]) - self.tensors[ins[0]].zero
        acc = rows @ weights.T
        return self.linear(acc, ins, out, options.number(0, 'b') if options else 0, None, len(w.scales) > 1)

    def pool(self, options):
        return options.number(4, 'i', 1), options.number(3, 'i', 1)

    def clamp(self, q, out, activation):
        return self.finish(q - self.tensors[out].zero, out, activation)

    def max_pool_2d(self, options, ins, out, x, values):
        taps, _ = self.windows(self.image(x, ins[0]), options, self.pool(options), -(2**31))
        return self.clamp(taps.max((2, 3)), out, options.number(5, 'b'))

    def average_pool_2d(self, options, ins, out, x, values):
        taps, count = self.windows(self.image(x, ins[0]), options, self.pool(options), 0)
        total, count = taps.sum((2, 3)), count[..., None]
        half = count // 2
        q = np.where(total > 0, (total + half) // count, -((half - total) // count))
        return self.clamp(q, out, options.number(5, 'b'))

    def add(self, options, ins, out, x, values, sign=1):
        a, b, y = self.tensors[ins[0]], self.tensors[ins[1]], self.tensors[out]
        other = values.get(ins[1], b.value)
        left = 15 if y.kind == 7 else 20
        twice = 2 * max(a.scale, b.scale)
        part = lambda v, t: self.scaled((v.astype(np.int64).reshape(t.shape) - t.zero) << left, quantize_multiplier(t.scale / twice))
        total = part(values.get(ins[0], a.value), a) + sign * part(other, b)
        q = self.scaled(total, quantize_multiplier(twice / (2**left * y.scale)))
        return self.finish(q, out, options.number(0, 'b') if options else 0)

    def sub(self, options, ins, out, x, values):
        return self.add(options, ins, out, x, values, -1)

    def mul(self, options, ins, out, x, values):
        a, b, y = self.tensors[ins[0]], self.tensors[ins[1]], self.tensors[out]
        first, second = values.get(ins[0], a.value), values.get(ins[1], b.value)
        shaped = lambda v, t: v.astype(np.int64).reshape(t.shape) - t.zero
        product = shaped(first, a) * shaped(second, b)
        # TFLite Micro's are doubles, TensorFlow's float32.
        form = np.float32 if self.rounding == 'single' else np.float64
        real = float(form(a.scale) * form(b.scale) / form(y.scale))
        return self.finish(self.scaled(product, quantize_multiplier(real)), out, options.number(0, 'b') if options else 0)

    def mean(self, options, ins, out, x, values):
        a, y = self.tensors[ins[0]], self.tensors[out]
        axes = tuple(int(i) for i in self.tensors[ins[1]].value.reshape(-1))
        total = (x.reshape(a.shape) - a.zero).sum(axes)
        count = int(np.prod([a.shape[i] for i in axes]))
        fixed, exponent = quantize_multiplier(a.scale / y.scale)
        shift = min(count.bit_length() - 1, 32, 31 + exponent)
        return self.finish(self.scaled(total, ((fixed << shift) // count, exponent - shift)), out, 0)

    def pad(self, options, ins, out, x, values):
        pads = self.tensors[ins[1]].value.reshape(-1, 2)
        a = self.tensors[ins[0]]
        return np.pad(x.reshape(a.shape), pads, constant_values=a.zero)

    def reshape(self, options, ins, out, x, values):
        return x

    squeeze = expand_dims = reshape

    def quantize(self, options, ins, out, x, values):
        a, y = self.tensors[ins[0]], self.tensors[out]
        return self.finish(self.scaled(x - a.zero, quantize_multiplier(a.scale / y.scale)), out, 0)

    def extremum(self, most, ins, values):
        a, b = ((values[i] if i in values else self.tensors[i].value).reshape(self.tensors[i].shape) for i in ins)
        return most(a, b)

    def maximum(self, options, ins, out, x, values):
        return self.extremum(np.maximum, ins, values)

    def minimum(self, options, ins, out, x, values):
        return self.extremum(np.minimum, ins, values)

    def concatenation(self, options, ins, out, x, values):
        axis = options.number(0, 'i')
        return np.concatenate([values[i].reshape(self.tensors[i].shape) for i in ins], axis)

    def transpose(self, options, ins, out, x, values):
        return x.reshape(self.tensors[ins[0]].shape).transpose(self.tensors[ins[1]].value)

    def reduce_max(self, options, ins, out, x, values):
        axes = tuple(int(i) for i in self.tensors[ins[1]].value.reshape(-1))
        return x.reshape(self.tensors[ins[0]].shape).max(axes)


def main():
    for at in range(1, len(sys.argv), 4):
        run(*(sys.argv[at:at + 4] + ['double'])[:4])


def run(path, source, target, rounding):
    net = Interpreter(path, rounding)
    kind = net.tensors[net.inputs[0]].kind
    count = int(np.prod(net.tensors[net.inputs[0]].shape))
    rows = np.fromfile(source, KINDS[kind] if kind != 0 else np.int8).reshape(-1, count)
    outputs = np.concatenate([np.asarray(net.run(row)).reshape(-1).astype(np.int64) for row in rows])
    wide = net.made is not None and net.tensors[net.made].kind == 7
    (outputs & 0xFFFF if wide else outputs & 0xFF).astype('<u2' if wide else np.uint8).tofile(target)


main()
