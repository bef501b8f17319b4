"""Files in the layouts that official weights come in: names and shapes as their networks have them, content random.

Written from the official architectures, not from our conversion tables. Without a seed the content is one zero shown at
every place, so that a file of full size takes no room.
"""

from __future__ import annotations

import pickle
import sys
import types
from argparse import Namespace
from collections import OrderedDict

import torch
from torch import nn

WIDTHS, SMALL_WIDTHS = (64, 128, 256, 512), (16, 16, 32, 32)


def fill(shapes, seed=None):
    """{name: shape} -> {name: tensor}; running variances positive, counters whole."""
    random, state = torch.Generator().manual_seed(seed or 0), {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif seed is None:
            state[name] = torch.zeros(()).expand(shape)
        else:
            value = torch.randn(shape, generator=random)
            state[name] = value.abs() + 0.5 if name.endswith("running_var") else value
    return state


def blur(total=1.0):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64 * total


def width(resolution, multiplier=2):
    return min(512, 16384 // resolution * multiplier)


def stylegan2_rosinality(resolution=1024, seed=None):
    """g_ema of rosinality's stylegan2-pytorch, beside the training state that the published file carries."""
    shapes = {}
    for i in range(1, 9):
        shapes |= {f"style.{i}.weight": (512, 512), f"style.{i}.bias": (512,)}
    shapes["input.input"] = (1, 512, 4, 4)

    def modulated(name, inputs, outputs, kernel):
        shapes[f"{name}.conv.weight"] = (1, outputs, inputs, kernel, kernel)
        shapes[f"{name}.conv.modulation.weight"] = (inputs, 512)
        shapes[f"{name}.conv.modulation.bias"] = (inputs,)

    def styled(name, inputs, outputs):
        modulated(name, inputs, outputs, 3)
        shapes.update({f"{name}.noise.weight": (1,), f"{name}.activate.bias": (outputs,)})

    styled("conv1", 512, 512)
    modulated("to_rgb1", 512, 3, 1)
    shapes |= {"to_rgb1.bias": (1, 3, 1, 1), "noises.noise_0": (1, 1, 4, 4)}
    kernels, inputs, r, n = [], 512, 8, 0
    while r <= resolution:
        outputs = width(r)
        styled(f"convs.{2 * n}", inputs, outputs)
        styled(f"convs.{2 * n + 1}", outputs, outputs)
        modulated(f"to_rgbs.{n}", outputs, 3, 1)
        shapes[f"to_rgbs.{n}.bias"] = (1, 3, 1, 1)
        shapes |= {f"noises.noise_{2 * n + 1}": (1, 1, r, r), f"noises.noise_{2 * n + 2}": (1, 1, r, r)}
        kernels += [f"convs.{2 * n}.conv.blur.kernel", f"to_rgbs.{n}.upsample.kernel"]
        inputs, r, n = outputs, r * 2, n + 1
    state = fill(shapes, seed) | {name: blur(4.0) for name in kernels}
    mean = torch.zeros(512) if seed is None else torch.randn(512, generator=torch.Generator().manual_seed(seed + 1))
    return {"g_ema": state, "latent_avg": mean, "g": {}, "d": {}, "g_optim": {}, "d_optim": {}, "args": Namespace(lr=1)}


class Persistent(nn.Module):
    """A module of NVIDIA's: pickled as a reference to a function of theirs, its source code and its attributes."""

    class_name, source = "Generator", "raise RuntimeError('source code in a pickle must never run')"

    def __reduce__(self):
        meta = {"type": "class", "version": 6, "module_src": self.source, "class_name": self.class_name}
        theirs = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return theirs, (theirs.easy_dict(meta | {"state": dict(self.__dict__)}),), None


def stylegan2_nvidia(resolution=8, seed=None):
    """G_ema of stylegan2-ada-pytorch as a tree of modules, beside D and the options of the training."""
    shapes, buffers = {}, {"mapping.w_avg": (512,)}
    for i in range(8):
        shapes |= {f"mapping.fc{i}.weight": (512, 512), f"mapping.fc{i}.bias": (512,)}
    shapes["synthesis.b4.const"] = (512, 4, 4)
    filters, r = ["synthesis.b4.resample_filter"], 4
    while r <= resolution:
        for layer, inputs in (("conv0", width(r // 2)), ("conv1", width(r)), ("torgb", width(r))):
            name, outputs, kernel = f"synthesis.b{r}.{layer}", width(r), 3
            if layer == "conv0" and r == 4:
                continue
            if layer == "torgb":
                outputs, kernel = 3, 1
            else:
                buffers[f"{name}.noise_const"], shapes[f"{name}.noise_strength"] = (r, r), ()
                filters.append(f"{name}.resample_filter")
            shapes |= {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}
            shapes |= {f"{name}.affine.weight": (inputs, 512), f"{name}.affine.bias": (inputs,)}
        filters.append(f"synthesis.b{r}.resample_filter")
        r *= 2
    parameters, constants = fill(shapes, seed), fill(buffers, None if seed is None else seed + 1)
    return parameters, constants | {name: blur() for name in filters}


def nvidia_tree(parameters, buffers):
    """The tensors as nested modules; parameters and buffers keep their kinds."""
    root = Persistent()
    for kind, tensors in (("parameter", parameters), ("buffer", buffers)):
        for name, value in tensors.items():
            *path, last = name.split(".")
            module = root
            for part in path:
                if part not in module._modules:
                    module.add_module(part, Persistent())
                module = module._modules[part]
            if kind == "buffer":
                module.register_buffer(last, value)
            else:
                module.register_parameter(last, nn.Parameter(value, requires_grad=False))
    root.init_kwargs = {"z_dim": 512, "activation": "lrelu", "resample_filter": [1, 3, 3, 1]}
    return root


def write_nvidia(path, parameters, buffers, monkeypatch, **networks):
    """Pickle {"G", "D", "G_ema", ...} as NVIDIA's training loop does; their modules exist only while it is written."""

    class EasyDict(dict):
        pass

    def _reconstruct_persistent_obj(meta):
        raise RuntimeError("this would run the source code inside the pickle")

    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
    EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"
    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    _reconstruct_persistent_obj.easy_dict = EasyDict
    persistence._reconstruct_persistent_obj, util.EasyDict = _reconstruct_persistent_obj, EasyDict
    with monkeypatch.context() as patch:
        for name, module in (("torch_utils", types.ModuleType("torch_utils")), ("dnnlib", types.ModuleType("dnnlib"))):
            patch.setitem(sys.modules, name, module)
        patch.setitem(sys.modules, "torch_utils.persistence", persistence)
        patch.setitem(sys.modules, "dnnlib.util", util)
        tree = {"G": None, "D": Persistent(), "G_ema": nvidia_tree(parameters, buffers), "augment_pipe": None}
        path.write_bytes(pickle.dumps(tree | {"training_set_kwargs": EasyDict(path="ffhq")} | networks, 3))
    return path


def norm(name, channels):
    shapes = {f"{name}.{tensor}": (channels,) for tensor in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {f"{name}.num_batches_tracked": ()}


def trunk(widths):
    """input_layer and body of IR-SE50."""
    shapes = {"input_layer.0.weight": (widths[0], 3, 3, 3), **norm("input_layer.1", widths[0])}
    shapes["input_layer.2.weight"] = (widths[0],)
    inputs, index = widths[0], 0
    for outputs, units in zip(widths, (3, 4, 14, 3), strict=True):
        for _ in range(units):
            name = f"body.{index}"
            if inputs != outputs:
                shapes[f"{name}.shortcut_layer.0.weight"] = (outputs, inputs, 1, 1)
                shapes |= norm(f"{name}.shortcut_layer.1", outputs)
            shapes |= norm(f"{name}.res_layer.0", inputs)
            shapes[f"{name}.res_layer.1.weight"] = (outputs, inputs, 3, 3)
            shapes[f"{name}.res_layer.2.weight"] = (outputs,)
            shapes[f"{name}.res_layer.3.weight"] = (outputs, outputs, 3, 3)
            shapes |= norm(f"{name}.res_layer.4", outputs)
            shapes[f"{name}.res_layer.5.fc1.weight"] = (outputs // 16, outputs, 1, 1)
            shapes[f"{name}.res_layer.5.fc2.weight"] = (outputs, outputs // 16, 1, 1)
            inputs, index = outputs, index + 1
    return shapes


def arcface(widths=WIDTHS, seed=None):
    """model_ir_se50.pth."""
    shapes = trunk(widths) | norm("output_layer.0", widths[-1]) | norm("output_layer.4", 512)
    return fill(shapes | {"output_layer.3.weight": (512, widths[-1] * 49), "output_layer.3.bias": (512,)}, seed)


def e4e(size=1024, widths=WIDTHS, seed=None):
    """e4e_ffhq_encode.pt: the encoder and the generator in one state dict, the mean code and the options."""
    codes, c = 2 * (size.bit_length() - 1) - 2, widths[-1]
    shapes = {f"encoder.{name}": shape for name, shape in trunk(widths).items()}
    for i in range(codes):
        for j in range(4 if i < 3 else 5 if i < 7 else 6):
            shapes |= {f"encoder.styles.{i}.convs.{2 * j}.weight": (c, c, 3, 3)}
            shapes |= {f"encoder.styles.{i}.convs.{2 * j}.bias": (c,)}
        shapes |= {f"encoder.styles.{i}.linear.weight": (c, c), f"encoder.styles.{i}.linear.bias": (c,)}
    for layer, inputs in (("latlayer1", widths[2]), ("latlayer2", widths[1])):
        shapes |= {f"encoder.{layer}.weight": (c, inputs, 1, 1), f"encoder.{layer}.bias": (c,)}
    shapes["decoder.input.input"] = (1, 512, 4, 4)
    options = {"stylegan_size": size, "encoder_type": "Encoder4Editing", "start_from_latent_avg": True}
    mean = fill({"mean": (codes, c)}, None if seed is None else seed + 1)["mean"]
    return {"state_dict": fill(shapes, seed), "latent_avg": mean, "opts": Namespace(**options)}


def facenet(seed=None):
    """The state dict of facenet-pytorch's network with its classifier, from the official class itself."""
    from facenet_pytorch import InceptionResnetV1

    with torch.device("meta"):
        network = InceptionResnetV1(classify=True, num_classes=8631)
    return fill({name: tuple(value.shape) for name, value in network.state_dict().items()}, seed)


def clip(width=768, text=512, layers=12, patch=32, grid=7, tokens=77, words=49408, joint=512, seed=None):
    """The state dict of an OpenAI CLIP with a vision transformer, in half precision as published."""
    shapes = {"visual.class_embedding": (width,), "visual.conv1.weight": (width, 3, patch, patch)}
    shapes |= {"visual.positional_embedding": (grid**2 + 1, width), "visual.proj": (width, joint)}
    shapes |= {"positional_embedding": (tokens, text), "token_embedding.weight": (words, text)}
    shapes |= {"text_projection": (text, joint), "logit_scale": ()}
    for name, size in (("visual.ln_pre", width), ("visual.ln_post", width), ("ln_final", text)):
        shapes |= {f"{name}.weight": (size,), f"{name}.bias": (size,)}
    for tower, w in (("visual.transformer", width), ("transformer", text)):
        for i in range(layers):
            block = f"{tower}.resblocks.{i}"
            shapes |= {f"{block}.attn.in_proj_weight": (3 * w, w), f"{block}.attn.in_proj_bias": (3 * w,)}
            shapes |= {f"{block}.attn.out_proj.weight": (w, w), f"{block}.attn.out_proj.bias": (w,)}
            shapes |= {f"{block}.mlp.c_fc.weight": (4 * w, w), f"{block}.mlp.c_fc.bias": (4 * w,)}
            shapes |= {f"{block}.mlp.c_proj.weight": (w, 4 * w), f"{block}.mlp.c_proj.bias": (w,)}
            for ln in ("ln_1", "ln_2"):
                shapes |= {f"{block}.{ln}.weight": (w,), f"{block}.{ln}.bias": (w,)}
    state = fill(shapes, seed)
    if seed is not None:
        state = {name: (0.3 * value).half() for name, value in state.items()}
    scalars = {"input_resolution": grid * patch, "context_length": tokens, "vocab_size": words}
    return state | {name: torch.tensor(value) for name, value in scalars.items()}


def torchscript(state, path):
    """`state` as a TorchScript archive: nested traced modules, as OpenAI publishes them."""

    class Node(nn.Module):
        def forward(self, x):
            return x

    root = Node()
    for name, value in state.items():
        *parts, last = name.split(".")
        module = root
        for part in parts:
            if part not in module._modules:
                module.add_module(part, Node())
            module = module._modules[part]
        if value.is_floating_point():
            module.register_parameter(last, nn.Parameter(value, requires_grad=False))
        else:
            module.register_buffer(last, value)
    torch.jit.save(torch.jit.trace(root, torch.ones(1), check_trace=False), path)
    return path


ATTENTION_INPUTS = (512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 256, 256, 128, 128, 64, 64, 32, 32)


def released_mapper(seed=None, positions=False, wrapped=True):
    """final_mapper.pt: mapping and attention of the released code, dead parameters included."""
    shapes = {"initial_bias": (1,), "initial_state": (20, 576)}

    def linear(name, outputs, inputs):
        shapes.update({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)})

    for c in range(14):
        linear(f"mapper_{c}", 512, 512)
        linear(f"mapper_text_{c}.0", 512, 512)
        linear(f"mapper_text_{c}.1", 512, 512)
        linear(f"mapper_all_{c}", 512, 1024)
        linear(f"mapper_textca_{c}.fc", 2048, 512)
    counted = [i for i in range(26) if i % 3 != 1] if positions else range(17)
    names = ["first", *counted, "last"]
    for name, inputs in zip(names, (*ATTENTION_INPUTS, 576), strict=True):
        outputs = 1 if name == "last" else 32
        linear(f"attention_textca_{name}", inputs, 512)
        linear(f"attention_{name}.conv.modulation", inputs, inputs)
        shapes[f"attention_{name}.conv.weight"] = (1, outputs, inputs, 1, 1)
        shapes |= {f"attention_{name}.noise.weight": (1,), f"attention_{name}.activate.bias": (outputs,)}
    prefix = "module." if wrapped else ""
    return OrderedDict((prefix + name, value) for name, value in fill(shapes, seed).items())
