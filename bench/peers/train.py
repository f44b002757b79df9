"""MMAR's training step in PyTorch, what `npm run bench:train` compares with.

python3 train.py MODEL.safetensors CONFIG.json BATCH.json: prints the losses of the batch as a line of JSON; then, for each line
`forward` or `step` on stdin, does that and prints its seconds. `step`: forward, backward, clip, AdamW, moving average.
"""

import json
import sys
import time

import torch
from mmar import MMAR, read_arguments


class Training:
    def __init__(self, model, batch, settings, bf16):
        self.model, self.batch, self.settings, self.bf16 = model, batch, settings, bf16
        self.learned = [w for w in model.w.values() if w.requires_grad]
        groups = [
            {"params": [w for w in self.learned if w.dim() > 1], "weight_decay": settings["weight_decay"]},
            {"params": [w for w in self.learned if w.dim() == 1], "weight_decay": 0.0},
        ]
        betas = (settings["beta1"], settings["beta2"])
        self.optimiser = torch.optim.AdamW(groups, lr=settings["lr"], betas=betas, eps=settings["eps"], foreach=True)
        self.average = [w.detach().clone() for w in self.learned]

    def forward(self):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            image = self.model.loss_image(self.batch["drawing"]) if self.batch["drawing"] else torch.zeros(())
            text = self.model.loss_text(self.batch["reading"]) if self.batch["reading"] else torch.zeros(())
        return image, text

    def step(self):
        image, text = self.forward()
        self.optimiser.zero_grad(set_to_none=True)
        (image + self.settings["text_weight"] * text).backward()
        torch.nn.utils.clip_grad_norm_(self.learned, self.settings["clip"])
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_mul_(self.average, self.settings["ema"])
            torch._foreach_add_(self.average, [w.detach() for w in self.learned], alpha=1 - self.settings["ema"])


def main():
    tensors, config, batch = read_arguments()
    runs = {}
    for name in ("f32", "bf16"):
        torch.manual_seed(0)
        runs[name] = Training(MMAR(tensors, config), batch, batch["settings"], name == "bf16")
    with torch.no_grad():
        losses = {name: [float(loss) for loss in run.forward()] for name, run in runs.items()}
    print(json.dumps({"torch": torch.__version__, "losses": losses}), flush=True)
    for line in sys.stdin:
        what, name = line.split()
        start = time.perf_counter()
        if what == "forward":
            with torch.no_grad():
                runs[name].forward()
        else:
            runs[name].step()
        print(time.perf_counter() - start, flush=True)


main()
