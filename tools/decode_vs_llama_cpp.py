"""Times a few rows of one sequence, logits of every row, in llama.cpp and in ours, in turns, on the same bf16 weights.

    python tools/decode_vs_llama_cpp.py build/benchmarks/verify_rows_benchmark HF_FOLDER MODEL.gguf [--threads 2] [--turns 4]

HF_FOLDER is what `import-gguf` made of MODEL.gguf. llama.cpp comes out of the package `xllamacpp` (its shared library exports the
C API); it reads a BF16 copy of MODEL.gguf that the package `gguf` writes beside HF_FOLDER. Prints the median time of both for 1, 2,
4 and 8 rows, the ratio, and ours against max(bytes / read bandwidth, operations / peak) as measured between the passes (median and
range over the turns), and the best times.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROWS = (1, 2, 4, 8)
CONTEXT = 64


class Opaque(ctypes.Structure):
    """A parameter struct passed by value: larger than any version's, which the calling convention allows."""
    _fields_ = [("bytes", ctypes.c_uint8 * 1024)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


def write_bf16_copy(source, target):
    import gguf
    import numpy
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(field.name, field.contents(), kind, field.types[-1])
        else:
            writer.add_key_value(field.name, field.contents(), kind)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape([int(n) for n in reversed(tensor.shape)])
        if values.ndim == 1:
            writer.add_tensor(tensor.name, values.astype(numpy.float32))
            continue
        kind = gguf.GGMLQuantizationType.BF16
        data = gguf.quants.quantize(values, kind)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class LlamaCpp:
    def __init__(self, model, threads):
        import xllamacpp
        folder = pathlib.Path(xllamacpp.__file__).parent
        self.lib = ctypes.CDLL(str(next(folder.glob("xllamacpp*.so"))))
        lib = self.lib
        lib.llama_model_default_params.restype = Opaque
        lib.llama_context_default_params.restype = Opaque
        lib.llama_model_load_from_file.restype = ctypes.c_void_p
        lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Opaque]
        lib.llama_init_from_model.restype = ctypes.c_void_p
        lib.llama_init_from_model.argtypes = [ctypes.c_void_p, Opaque]
        lib.llama_get_memory.restype = ctypes.c_void_p
        lib.llama_get_memory.argtypes = [ctypes.c_void_p]
        lib.llama_memory_seq_rm.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32]
        lib.llama_memory_seq_rm.restype = ctypes.c_bool
        lib.llama_batch_init.restype = Batch
        lib.llama_decode.argtypes = [ctypes.c_void_p, Batch]
        lib.llama_set_n_threads.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32]
        silence = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        self.silence = silence
        lib.llama_log_set(silence, None)
        lib.llama_backend_init()
        loaded = lib.llama_model_load_from_file(model.encode(), lib.llama_model_default_params())
        self.context = lib.llama_init_from_model(loaded, lib.llama_context_default_params())
        if not self.context:
            sys.exit("llama.cpp could not load " + model)
        lib.llama_set_n_threads(self.context, threads, threads)
        self.memory = lib.llama_get_memory(self.context)
        self.batch = lib.llama_batch_init(512, 0, 1)
        self.decode([100 + i * 7919 % 20000 for i in range(CONTEXT)], 0)

    def decode(self, tokens, position):
        for i, token in enumerate(tokens):
            self.batch.token[i] = token
            self.batch.pos[i] = position + i
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = 0
            self.batch.logits[i] = 1
        self.batch.n_tokens = len(tokens)
        if self.lib.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama_decode failed")

    def times(self, seconds):
        start, turn, times = time.perf_counter(), 0, {rows: [] for rows in ROWS}
        while time.perf_counter() - start < seconds:
            for rows in ROWS:
                tokens = [100 + (i * 7919 + turn * 104729) % 20000 for i in range(rows)]
                begin = time.perf_counter()
                self.decode(tokens, CONTEXT)
                times[rows].append(1e3 * (time.perf_counter() - begin))
                self.lib.llama_memory_seq_rm(self.memory, 0, CONTEXT, -1)
            turn += 1
        return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("gguf")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6, help="of each in a turn")
    arguments = parser.parse_args()
    copy = arguments.folder.rstrip("/") + "-bf16.gguf"
    if not os.path.exists(copy):
        write_bf16_copy(arguments.gguf, copy)
    peer = LlamaCpp(copy, arguments.threads)
    theirs, ours, machine = {rows: [] for rows in ROWS}, {rows: [] for rows in ROWS}, []
    for _ in range(arguments.turns):
        for rows, times in peer.times(arguments.seconds).items():
            theirs[rows].append((statistics.median(times), min(times)))
        text = subprocess.run([arguments.program, arguments.folder, str(arguments.seconds), str(CONTEXT)], check=True,
                              capture_output=True, text=True,
                              env={**os.environ, "SPECULATORS_NUM_THREADS": str(arguments.threads)}).stdout
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines[:-1]:
            ours[line["rows"]].append((line["ms"], line["best_ms"], line["over_bound"]))
        machine.append(lines[-1])
    read = statistics.median(line["read_gb_per_s"] for line in machine)
    peak = statistics.median(line["fp32_gflop_per_s"] for line in machine)
    print(f"{arguments.threads} threads, {read:.1f} GB/s read, {peak:.0f} GFLOP/s fp32, {machine[0]['weight_mb']:.0f} MB of weights; "
          f"medians of {arguments.turns} turns")
    for rows in ROWS:
        their_ms, our_ms = statistics.median(t[0] for t in theirs[rows]), statistics.median(t[0] for t in ours[rows])
        over = [t[2] for t in ours[rows]]
        print(f"{rows} rows: llama.cpp {their_ms:.2f} ms, ours {our_ms:.2f} ms, ratio {their_ms / our_ms:.2f}; over the bound "
              f"{statistics.median(over):.2f} ({min(over):.2f} to {max(over):.2f}); best times {min(t[1] for t in theirs[rows]):.2f} "
              f"and {min(t[1] for t in ours[rows]):.2f} ms", flush=True)


if __name__ == "__main__":
    main()
