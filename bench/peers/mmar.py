"""MMAR in PyTorch, written from docs/spec alone: what the programs beside it train and draw with."""

import json
import math
import struct
import sys

import torch
import torch.nn.functional as F


def read_safetensors(path):
    types = {"BF16": torch.bfloat16, "F32": torch.float32, "F16": torch.float16}
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        head, data = json.loads(file.read(length)), bytearray(file.read())
    head.pop("__metadata__", None)
    tensors = {}
    for name, entry in head.items():
        first, last = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=types[entry["dtype"]], offset=first, count=math.prod(entry["shape"]))
        tensors[name] = flat.reshape(entry["shape"]).float()
    return tensors


def read_arguments():
    """MODEL.safetensors CONFIG.json INPUT.json THREADS of the command line: tensors, config and input."""
    weights, config, given, threads = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    with open(config) as file:
        config = json.load(file)
    with open(given) as file:
        given = json.load(file)
    return read_safetensors(weights), config, given


def learns(name):
    """The paper's choice (training.md, section 1)."""
    around = ("post_projector.", "embedding_vit.", "vis_projector.", "diffusion.")
    return "lora_" in name or name in ("image_start", "image_end") or name.startswith(around)


class MMAR:
    def __init__(self, tensors, config):
        self.config = config
        self.w = {k: v.clone() for k, v in tensors.items() if not k.startswith("image_tokenizer.")}
        for name, w in self.w.items():
            w.requires_grad_(learns(name))
        # Cosine schedule, betas clipped at 0.999; sin φ = sqrt(1 - ᾱ).
        T = config["diffusion"]["timesteps"]
        bar = [math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(T + 1)]
        kept, angles = 1.0, []
        for t in range(T):
            kept *= 1 - min(1 - bar[t + 1] / bar[t], 0.999)
            angles.append(math.atan2(math.sqrt(1 - kept), math.sqrt(kept)))
        self.phi = torch.tensor(angles, dtype=torch.float64)

    def linear(self, name, x):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def norm(self, name, x):
        return F.layer_norm(x.float(), x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], 1e-6)

    def vit(self, tokens, hidden):
        """Tokens [B, L, d] and which of them are hidden [B, L]: what the LLM reads, [B, L, H]."""
        c = self.config["embedding_vit"]
        x = self.linear("post_projector.2", F.gelu(self.linear("post_projector.0", tokens)))
        x = torch.where(hidden[..., None], self.w["embedding_vit.mask_token"], x) + self.w["embedding_vit.pos_embed"]
        B, L, W = x.shape
        for i in range(c["depth"]):
            p = f"embedding_vit.blocks.{i}."
            qkv = self.linear(p + "attn.qkv", self.norm(p + "norm1", x)).view(B, L, 3, c["heads"], -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            a = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            x = x + self.linear(p + "attn.proj", (a @ v).transpose(1, 2).reshape(B, L, W))
            x = x + self.linear(p + "mlp.fc2", F.gelu(self.linear(p + "mlp.fc1", self.norm(p + "norm2", x))))
        x = self.norm("embedding_vit.norm", x)
        for i in (0, 2):
            x = F.gelu(self.linear(f"vis_projector.{i}", x))
        return self.linear("vis_projector.4", x)

    def llm(self, x, image, mask):
        """x [B, T, H]; image: flat indices of the image tokens' rows; mask [B, 1, T, T], true where one sees the other."""
        c = self.config["llm"]
        B, T, H = x.shape
        heads, groups = c["num_attention_heads"], c["num_key_value_heads"]
        D = H // heads
        frequency = c["rope_theta"] ** (-torch.arange(0, D, 2) / D)
        angle = torch.outer(torch.arange(T), frequency).repeat(1, 2)
        cos, sin = angle.cos(), angle.sin()
        rotate = lambda x: x * cos + torch.cat((-x[..., D // 2 :], x[..., : D // 2]), -1) * sin
        plora = self.config["plora"]
        scale = plora["alpha"] / plora["rank"]

        def project(name, x):
            low = F.linear(x.reshape(B * T, -1)[image], self.w[name + ".lora_A.weight"])
            low = scale * F.linear(low, self.w[name + ".lora_B.weight"])
            y = self.linear(name, x).reshape(B * T, -1)
            return y.index_add(0, image, low.to(y.dtype)).view(B, T, -1)

        def rms(name, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["rms_norm_eps"]) * self.w[name + ".weight"]

        for i in range(c["num_hidden_layers"]):
            p = f"llm.model.layers.{i}."
            n = rms(p + "input_layernorm", x)
            q, k, v = (
                project(p + f"self_attn.{which}_proj", n).view(B, T, -1, D).transpose(1, 2) for which in ("q", "k", "v")
            )
            q, k = rotate(q), rotate(k).repeat_interleave(heads // groups, 1)
            scores = (q @ k.transpose(-1, -2) / math.sqrt(D)).masked_fill(~mask, -1e30)
            seen = scores.softmax(-1).to(v.dtype) @ v.repeat_interleave(heads // groups, 1)
            x = x + project(p + "self_attn.o_proj", seen.transpose(1, 2).reshape(B, T, H))
            n = rms(p + "post_attention_layernorm", x)
            gated = F.silu(project(p + "mlp.gate_proj", n)) * project(p + "mlp.up_proj", n)
            x = x + project(p + "mlp.down_proj", gated)
        return rms("llm.model.norm", x)

    def head(self, x, t, z):
        """u of noisy tokens [n, d] at times [n], given z [n, H]."""
        depth = self.config["diffusion"]["depth"]
        angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        embedded = torch.cat((angle.cos(), angle.sin()), -1)
        embedded = self.linear("diffusion.time_embed.mlp.2", F.silu(self.linear("diffusion.time_embed.mlp.0", embedded)))
        y = F.silu(embedded + self.linear("diffusion.cond_embed", z))
        x = self.linear("diffusion.input_proj", x)
        for i in range(depth):
            p = f"diffusion.res_blocks.{i}."
            shift, scale, gate = self.linear(p + "adaLN_modulation.1", y).chunk(3, -1)
            n = self.norm(p + "in_ln", x) * (1 + scale) + shift
            x = x + gate * self.linear(p + "mlp.2", F.silu(self.linear(p + "mlp.0", n)))
        shift, scale = self.linear("diffusion.final_layer.adaLN_modulation.1", y).chunk(2, -1)
        n = F.layer_norm(x.float(), x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        return self.linear("diffusion.final_layer.linear", n)

    def sequences(self, examples):
        """Hidden states [B, T, H] of `text image_start image image_end text`, each from its row 0, and where images begin."""
        L, embed = self.config["image_tokens"], self.w["llm.model.embed_tokens.weight"]
        B = len(examples)
        tokens = torch.tensor([e["tokens"] for e in examples]).view(B, L, -1)
        hidden = torch.zeros(B, L, dtype=torch.bool)
        rows, starts = [], []
        for b, e in enumerate(examples):
            hidden[b, e.get("hidden", [])] = True
            starts.append(len(e["before"]) + 1)
        visual = self.vit(tokens, hidden)
        for b, e in enumerate(examples):
            parts = [embed[e["before"]], self.w["image_start"][None], visual[b].float()]
            if "after" in e:
                parts += [self.w["image_end"][None], embed[e["after"]]]
            rows.append(torch.cat(parts))
        x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        T = x.shape[1]
        mask = torch.ones(T, T, dtype=torch.bool).tril().repeat(B, 1, 1, 1)
        for b, first in enumerate(starts):
            mask[b, 0, first : first + L, first : first + L] = True
        image = torch.cat([torch.arange(L) + b * T + first for b, first in enumerate(starts)])
        return self.llm(x, image, mask), starts

    def loss_image(self, examples):
        """The mean over hidden positions, draws and channels of (head(x_t, t, z) - u)²; v-prediction."""
        states, starts = self.sequences(examples)
        x, u, times, z, weights = [], [], [], [], []
        for b, e in enumerate(examples):
            t = torch.tensor(e["times"])
            where = torch.tensor(e["hidden"]).repeat(len(t) // len(e["hidden"]))
            d = self.config["image_tokenizer"]["embed_dim"]
            clean = torch.tensor(e["tokens"]).view(-1, d)[where]
            noise = torch.tensor(e["noise"]).view(-1, d)
            cos, sin = self.phi[t].cos()[:, None], self.phi[t].sin()[:, None]
            x.append((cos * clean + sin * noise).float())
            u.append((cos * noise - sin * clean).float())
            times.append(t)
            z.append(states[b, starts[b] + where])
            weights.append(torch.full((len(t),), 1 / (len(t) * d * len(examples))))
        made = self.head(torch.cat(x), torch.cat(times), torch.cat(z)).float()
        return ((made - torch.cat(u)).pow(2).sum(-1) * torch.cat(weights)).sum()

    def loss_text(self, examples):
        """The mean cross-entropy of the answers' tokens, each told by the position before it."""
        states, starts = self.sequences(examples)
        first = [start + self.config["image_tokens"] + 1 for start in starts]
        rows = [states[b, first[b] : first[b] + len(e["after"])] for b, e in enumerate(examples)]
        losses = [
            F.cross_entropy(F.linear(row, self.w["llm.model.embed_tokens.weight"]).float(), torch.tensor(e["targets"]))
            for row, e in zip(rows, examples)
        ]
        return sum(losses) / len(losses)
