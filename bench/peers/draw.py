"""MMAR drawing a picture in PyTorch: what `npm run bench:draw` compares with.

python3 draw.py MODEL.safetensors CONFIG.json INPUT.json THREADS: for each line `bf16`, `f32` or `plain` on stdin draws INPUT's picture
and prints a line of JSON: its seconds and its tokens. `plain` is f32 as the specification writes the graph: PLoRA beside the
weights, and the whole Diffusion MLP of (x, t, z) at each step; the others save what mmar saves.
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from mmar import MMAR, read_arguments

PROJECTIONS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
GATED = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class Drawer(MMAR):
    """In one type throughout but the norms and the sampler, which are f32. PLoRA is merged for image tokens, unless plain."""

    def __init__(self, tensors, config, type, plain=False):
        super().__init__(tensors, config)
        self.type, self.plain = type, plain
        plora = config["plora"]
        self.scale = plora["alpha"] / plora["rank"]
        for i in range(0 if plain else config["llm"]["num_hidden_layers"]):
            for which in PROJECTIONS + GATED:
                name = f"llm.model.layers.{i}.{which}"
                low = self.w[name + ".lora_B.weight"] @ self.w[name + ".lora_A.weight"]
                merged = self.w[name + ".weight"] + self.scale * low
                self.w[name + ".image"] = merged
        self.w = {name: w.detach().to(type) for name, w in self.w.items()}
        self.decoder = {k: v.to(type) for k, v in tensors.items() if k.startswith("image_tokenizer.")}

    def norm(self, name, x):
        weight, bias = (self.w[f"{name}.{which}"].float() for which in ("weight", "bias"))
        return F.layer_norm(x.float(), x.shape[-1:], weight, bias, 1e-6).to(self.type)

    def rms(self, name, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.config["llm"]["rms_norm_eps"])
        return (y * self.w[name + ".weight"].float()).to(self.type)

    def layers(self, x, positions, cache, mask, image):
        """x [B, T, H] at positions [B, T], behind cache: a pair of keys and values a layer, or None. mask [B, 1, T, all]."""
        c = self.config["llm"]
        B, T, H = x.shape
        heads, groups = c["num_attention_heads"], c["num_key_value_heads"]
        D = H // heads
        frequency = c["rope_theta"] ** (-torch.arange(0, D, 2) / D)
        angle = (positions[..., None] * frequency).repeat(1, 1, 2)[:, None]
        cos, sin = angle.cos(), angle.sin()
        rotate = lambda x: (x * cos + torch.cat((-x[..., D // 2 :], x[..., : D // 2]), -1) * sin).to(self.type)

        def project(name, x):
            merged = image and not self.plain
            y = F.linear(x, self.w[name + (".image" if merged else ".weight")], self.w.get(name + ".bias"))
            if not image or merged:
                return y
            return y + self.scale * F.linear(F.linear(x, self.w[name + ".lora_A.weight"]), self.w[name + ".lora_B.weight"])

        kept = []
        for i in range(c["num_hidden_layers"]):
            p = f"llm.model.layers.{i}."
            n = self.rms(p + "input_layernorm", x)
            q, k, v = (project(p + which, n).view(B, T, -1, D).transpose(1, 2) for which in PROJECTIONS[:3])
            q, k = rotate(q), rotate(k)
            kept.append((k, v))
            if cache:
                k, v = (torch.cat((old, new), 2) for old, new in zip(cache[i], (k, v)))
            k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
            seen = (q @ k.transpose(-1, -2) / math.sqrt(D)).masked_fill(~mask, -math.inf).softmax(-1) @ v
            x = x + project(p + "self_attn.o_proj", seen.transpose(1, 2).reshape(B, T, H))
            n = self.rms(p + "post_attention_layernorm", x)
            gated = F.silu(project(p + "mlp.gate_proj", n)) * project(p + "mlp.up_proj", n)
            x = x + project(p + "mlp.down_proj", gated)
        return self.rms("llm.model.norm", x), kept

    def prefill(self, prompts):
        """Keys and values of `text image_start` of each prompt, the shorter padded behind, and their lengths."""
        embed, start = self.w["llm.model.embed_tokens.weight"], self.w["image_start"][None]
        rows = torch.nn.utils.rnn.pad_sequence([torch.cat((embed[ids], start)) for ids in prompts], batch_first=True)
        B, T, _ = rows.shape
        mask = torch.ones(T, T, dtype=torch.bool).tril().expand(B, 1, T, T)
        _, cache = self.layers(rows, torch.arange(T).expand(B, T), None, mask, False)
        return cache, torch.tensor([len(ids) + 1 for ids in prompts])

    def modulations(self, times, z):
        """Of every block, then the final layer's, for all times: they do not depend on x."""
        angle = times[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        embedded = torch.cat((angle.cos(), angle.sin()), -1).to(self.type)
        embedded = self.linear("diffusion.time_embed.mlp.2", F.silu(self.linear("diffusion.time_embed.mlp.0", embedded)))
        y = F.silu(embedded[:, None] + self.linear("diffusion.cond_embed", z))
        names = [f"diffusion.res_blocks.{i}.adaLN_modulation.1" for i in range(self.config["diffusion"]["depth"])]
        return [self.linear(name, y) for name in (*names, "diffusion.final_layer.adaLN_modulation.1")]

    def denoise(self, x, modulations):
        x = self.linear("diffusion.input_proj", x.to(self.type))
        for i, modulation in enumerate(modulations[:-1]):
            p = f"diffusion.res_blocks.{i}."
            shift, scale, gate = modulation.chunk(3, -1)
            n = self.norm(p + "in_ln", x) * (1 + scale) + shift
            x = x + gate * self.linear(p + "mlp.2", F.silu(self.linear(p + "mlp.0", n)))
        shift, scale = modulations[-1].chunk(2, -1)
        n = F.layer_norm(x.float(), x.shape[-1:], eps=1e-6).to(self.type) * (1 + scale) + shift
        return self.linear("diffusion.final_layer.linear", n).float()

    def tokens(self, given):
        """Tokens [L, d] by masked auto-regression; guidance rises linearly, steps are DDIM's (spec sections 5 and 6)."""
        L, T = self.config["image_tokens"], self.config["diffusion"]["timesteps"]
        K, n, omega = given["iterations"], given["steps"], given["cfg"]
        cache, lengths = self.prefill([given["before"], given["uncond"]])
        longest = cache[0][0].shape[2]
        positions = lengths[:, None] + torch.arange(L)
        old = torch.arange(longest) < lengths[:, None]
        mask = torch.cat((old, torch.ones(2, L, dtype=torch.bool)), 1)[:, None, None]
        noise = torch.tensor(given["noise"]).view(L, -1)
        tokens, hidden = torch.zeros_like(noise), torch.ones(1, L, dtype=torch.bool)
        times = torch.tensor([round(i * (T - 1) / (n - 1)) for i in range(n)])
        phi = torch.cat((torch.zeros(1, dtype=torch.float64), self.phi[times]))
        known = 0
        for k in range(K):
            left = L - known if k == K - 1 else max(1, min(L - known - 1, int(L * math.cos(math.pi / 2 * (k + 1) / K))))
            until = L if k == K - 1 else L - left
            where = torch.tensor(given["order"][known:until])
            visual = self.vit(tokens[None].to(self.type), hidden).expand(2, L, -1)
            states, _ = self.layers(visual, positions, cache, mask, True)
            z = states[:, where].reshape(-1, states.shape[-1])
            modulations = None if self.plain else self.modulations(times, z)
            known = until
            guidance = 1 + (omega - 1) * known / L
            x = noise[where]
            for step in reversed(range(n)):
                at, own = (0, self.modulations(times[step : step + 1], z)) if self.plain else (step, modulations)
                u = self.denoise(x.repeat(2, 1), [m[at] for m in own])
                conditional, other = u.chunk(2)
                u = other + guidance * (conditional - other)
                down = phi[step] - phi[step + 1]  # v: its angle is a quarter turn past x's
                x = (torch.sin(down) * u + torch.cos(down) * x).float()
            tokens[where] = x
            hidden[0, where] = False
        return tokens

    def conv(self, name, x, padding=1):
        weight, bias = (self.decoder[f"image_tokenizer.{name}.{which}"] for which in ("weight", "bias"))
        return F.conv2d(x, weight, bias, padding=padding if weight.shape[-1] == 3 else 0)

    def group_norm(self, name, x):
        weight, bias = (self.decoder[f"image_tokenizer.{name}.{which}"].float() for which in ("weight", "bias"))
        groups = self.config["image_tokenizer"].get("norm_groups", 32)
        return F.group_norm(x.float(), groups, weight, bias, 1e-6).to(self.type)

    def block(self, name, x):
        h = self.conv(name + ".conv1", F.silu(self.group_norm(name + ".norm1", x)))
        h = self.conv(name + ".conv2", F.silu(self.group_norm(name + ".norm2", h)))
        widens = f"image_tokenizer.{name}.nin_shortcut.weight" in self.decoder
        return h + (self.conv(name + ".nin_shortcut", x) if widens else x)

    def attend(self, name, x):
        n = self.group_norm(name + ".norm", x)
        q, k, v = (self.conv(f"{name}.{which}", n).flatten(2).transpose(1, 2) for which in "qkv")
        seen = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        return x + self.conv(name + ".proj_out", seen.transpose(1, 2).view_as(x))

    def picture(self, tokens):
        """RGB in [-1, 1], [3, height, width]."""
        c = self.config["image_tokenizer"]
        side = math.isqrt(len(tokens))
        x = (tokens / c["scaling_factor"]).T.reshape(1, -1, side, side).to(self.type)
        x = self.conv("decoder.conv_in", self.conv("post_quant_conv", x))
        x = self.block("decoder.mid.block_1", x)
        x = self.block("decoder.mid.block_2", self.attend("decoder.mid.attn_1", x))
        for level in reversed(range(len(c["ch_mult"]))):
            p = f"decoder.up.{level}"
            for i in range(c["num_res_blocks"] + 1):
                x = self.block(f"{p}.block.{i}", x)
                if x.shape[-1] in c["attn_resolutions"]:
                    x = self.attend(f"{p}.attn.{i}", x)
            if level:
                x = self.conv(p + ".upsample.conv", F.interpolate(x, scale_factor=2))
        x = self.conv("decoder.conv_out", F.silu(self.group_norm("decoder.norm_out", x)))
        return x[0].float().clamp(-1, 1)


@torch.inference_mode()
def main():
    tensors, config, given = read_arguments()
    drawers = {
        "f32": Drawer(tensors, config, torch.float32),
        "bf16": Drawer(tensors, config, torch.bfloat16),
        "plain": Drawer(tensors, config, torch.float32, plain=True),
    }
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        drawer = drawers[line.strip()]
        start = time.perf_counter()
        tokens = drawer.tokens(given)
        drawer.picture(tokens)
        print(json.dumps({"seconds": time.perf_counter() - start, "tokens": tokens.flatten().tolist()}), flush=True)


main()
