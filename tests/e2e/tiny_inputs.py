"""Writes tiny inputs of every kind the program reads, by hand: a verifier folder with a tokenizer of single bytes, a
GGUF model, and files in the safetensors and npy forms. Plain standard library, the same bytes on every machine."""

import json
import pathlib
import random
import struct

VOCAB, HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 260, 32, 48, 4, 4, 2, 8, 256
CHAT_TEMPLATE = (
    "{% for m in messages %}<turn>{{ m.role[0] }}:{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<turn>a:{% endif %}"
)
SPECIAL = ["<turn>", "<end>", "<think>", "</think>"]


def safetensors(tensors):
    """tensors: name -> (dtype, shape, bytes)."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def read_safetensors(content):
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    data = content[8 + size :]
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in header.items()}


def npy(dtype, shape, content):
    shape_text = f"({shape[0]},)" if len(shape) == 1 else str(tuple(shape))
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape_text}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def bf16(values):
    return b"".join(struct.pack("<f", value)[2:] for value in values)


def model_shapes(vocab, hidden):
    shapes = {
        "model.embed_tokens.weight": [vocab, hidden],
        "model.norm.weight": [hidden],
        "lm_head.weight": [vocab, hidden],
    }
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        shapes |= {
            layer + "input_layernorm.weight": [hidden],
            layer + "post_attention_layernorm.weight": [hidden],
            layer + "self_attn.q_proj.weight": [HEADS * HEAD_DIM, hidden],
            layer + "self_attn.k_proj.weight": [KV_HEADS * HEAD_DIM, hidden],
            layer + "self_attn.v_proj.weight": [KV_HEADS * HEAD_DIM, hidden],
            layer + "self_attn.o_proj.weight": [hidden, HEADS * HEAD_DIM],
            layer + "mlp.gate_proj.weight": [FFN, hidden],
            layer + "mlp.up_proj.weight": [FFN, hidden],
            layer + "mlp.down_proj.weight": [hidden, FFN],
        }
    return shapes


def random_weight(generator, shape):
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    scale = 1 / shape[1] ** 0.5 if len(shape) > 1 else 0.1
    return [generator.gauss(0, 1) * scale + (len(shape) == 1) for _ in range(count)]


def byte_alphabet():
    """The characters that stand for the bytes 0 to 255 in a byte-level vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b if b in printable else next(others)) for b in range(256)]


def tokenizer_json():
    added = [
        {
            "id": 256 + i,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i, text in enumerate(SPECIAL)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "vocab": {c: i for i, c in enumerate(byte_alphabet())},
        "merges": [],
    }
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }


def write_verifier(folder, vocab=VOCAB, hidden=HIDDEN):
    folder.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": CONTEXT,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": 256,
        "eos_token_id": 257,
        "torch_dtype": "bfloat16",
    }
    generator = random.Random(1)
    tensors = {
        name: ("BF16", shape, bf16(random_weight(generator, shape)))
        for name, shape in model_shapes(vocab, hidden).items()
    }
    write = lambda name, value: (folder / name).write_text(json.dumps(value, indent=1))
    write("config.json", config)
    write("tokenizer.json", tokenizer_json())
    write(
        "tokenizer_config.json",
        {"eos_token": "<end>", "mask_token": "<think>", "tokenizer_class": "PreTrainedTokenizerFast"},
    )
    write("generation_config.json", {"eos_token_id": 257})
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    (folder / "model.safetensors").write_bytes(safetensors(tensors))


def gguf_string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value):
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_string(value)
    kind, items = (
        (8, map(gguf_string, value)) if isinstance(value[0], str) else (5, (struct.pack("<i", v) for v in value))
    )
    return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)


def gguf(changes=None, shapes=None):
    """A Llama of one layer. `changes` to its metadata (None removes a key); `shapes` of its tensors."""
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": 64,
        "llama.embedding_length": 8,
        "llama.feed_forward_length": 4,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 1e5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ["<|end|>", "<tool>", "a", "b", "ab"],
        "tokenizer.ggml.token_type": [3, 4, 1, 1, 1],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.chat_template": "{{ messages }}",
    } | (changes or {})
    metadata = {key: value for key, value in metadata.items() if value is not None}
    layer = {f"attn_{x}": [8, 8] for x in ("q", "k", "v", "output")} | {
        "ffn_gate": [4, 8],
        "ffn_up": [4, 8],
        "ffn_down": [8, 4],
    }
    tensors = {
        "token_embd.weight": [5, 8],
        "output_norm.weight": [8],
        "blk.0.attn_norm.weight": [8],
        "blk.0.ffn_norm.weight": [8],
    } | {f"blk.0.{name}.weight": shape for name, shape in layer.items()}
    tensors = {name: shape for name, shape in (tensors | (shapes or {})).items() if shape}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(gguf_string(key) + gguf_value(value) for key, value in metadata.items())
    generator, data = random.Random(2), b""
    for name, shape in tensors.items():
        head += gguf_string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", 0, len(data))
        values = random_weight(generator, shape)
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + data


def write_inputs(folder):
    folder = pathlib.Path(folder)
    write_verifier(folder / "verifier")
    (folder / "model.gguf").write_bytes(gguf())
    prompts = [{"id": f"p{i}", "kind": "code" if i % 2 else "prose", "prompt": f"Say {i} words."} for i in range(6)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(p) + "\n" for p in prompts))
    (folder / "prompts.json").write_text(json.dumps(prompts))
    turns = [
        {
            "conversations": [
                {"role": "user", "content": f"What is {i}?"},
                {"role": "assistant", "content": f"It is {i}."},
            ]
        }
        for i in range(12)
    ]
    (folder / "chats.jsonl").write_text("".join(json.dumps(t) + "\n" for t in turns))
