"""Identity networks and alignment: crops against known geometry, foreign graphs against the programs that own them."""

import struct

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from where2edit.backbones import alignment, arcface, facenet, scrfd
from where2edit.files.formats import protobuf


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """One protobuf field: ints as varints, floats as 32 bits, everything else as bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_node(op, inputs, output, **attributes):
    data = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, op)
    for name, value in attributes.items():
        kind = 1 if isinstance(value, float) else 2 if isinstance(value, int) else 7
        values = b"".join(field(8, v) for v in value) if kind == 7 else field(3 if kind == 2 else 2, value)
        data += field(5, field(1, name) + values + field(20, kind))
    return data


def onnx_value(name, shape):
    sizes = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, sizes)))


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    """A small graph of the six operations, weights from a fixed seed."""
    draw = np.random.default_rng(0)
    weights = {
        "w1": draw.normal(size=(4, 3, 3, 3)), "b1": draw.normal(size=4), "slope": draw.uniform(size=(4, 1, 1)),
        "w2": draw.normal(size=(4, 1, 3, 3)), "b2": draw.normal(size=4),
        "fc.weight": draw.normal(size=(6, 64)), "fc.bias": draw.normal(size=6),
        "gamma": draw.normal(size=6), "beta": draw.normal(size=6), "mean": draw.normal(size=6),
        "var": draw.uniform(0.5, 1, 6),
    }  # fmt: skip
    graph = [
        onnx_node("Conv", ["x", "w1", "b1"], "a", strides=[2, 2], pads=[1, 1, 1, 1], group=1, kernel_shape=[3, 3]),
        onnx_node("PRelu", ["a", "slope"], "b"),
        onnx_node("Conv", ["b", "w2", "b2"], "c", strides=[1, 1], pads=[0, 2, 2, 0], group=4, kernel_shape=[3, 3]),
        onnx_node("Add", ["b", "c"], "d"),
        onnx_node("Flatten", ["d"], "e"),
        onnx_node("Gemm", ["e", "fc.weight", "fc.bias"], "f", transB=1, alpha=1.0, beta=1.0),
        onnx_node("BatchNormalization", ["f", "gamma", "beta", "mean", "var"], "y", epsilon=1e-3),
    ]
    data = b"".join(field(1, node) for node in graph) + field(2, "small")
    for name, value in weights.items():
        shape = b"".join(field(1, size) for size in value.shape)
        data += field(5, shape + field(2, 1) + field(8, name) + field(9, value.astype("<f4").tobytes()))
    data += field(11, onnx_value("x", [1, 3, 8, 8])) + field(12, onnx_value("y", [1, 6]))
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    path.write_bytes(field(1, 7) + field(7, data) + field(8, field(1, "") + field(2, 11)))
    return path


def test_onnx_graph_runs_as_onnxruntime_does(onnx_file):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
    net = arcface.OnnxNet(onnx_file)
    assert torch.allclose(net(x), expected, atol=1e-5)
    x.requires_grad_()
    net(x).sum().backward()
    assert x.grad.abs().sum() > 0 and not list(net.parameters())


def test_damaged_graphs_are_one_sentence(tmp_path, onnx_file):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(onnx_file.read_bytes()[:-200])
    with pytest.raises(ValueError, match="not a readable ONNX graph"):
        protobuf.read_onnx(broken)
    with pytest.raises(ValueError, match="not a readable frozen graph"):
        protobuf.read_frozen_graph(broken)


def test_integers_of_both_layouts():
    packed = memoryview(varint(3) + varint(-1) + varint(300))
    assert protobuf.integers([5, packed]) == [5, 3, -1, 300]


def faces(size=96, batch=2):
    """Smooth images, so that a crop by another path agrees closely."""
    noise = torch.rand(batch, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return F.interpolate(noise, (size, size), mode="bicubic", align_corners=False).clamp(-1, 1)


def test_similarity_recovers_a_known_transform():
    template = torch.tensor(arcface.TEMPLATE) / 112
    angle, scale, shift = torch.tensor(0.3), 0.6, torch.tensor([0.1, 0.25])
    turn = scale * torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    points = template @ turn.T + shift
    found = alignment.similarity(points[None], template)[0]
    assert torch.allclose(found, torch.cat([turn, shift[:, None]], 1), atol=1e-5)


def test_crop_by_box_is_the_slice():
    images = faces(96)
    transform = alignment.box_transform(torch.tensor([[0.25, 0.5, 0.75, 1.0]]))
    assert torch.allclose(alignment.crop(images, transform, 48), images[:, :, 48:, 24:72], atol=1e-5)
    wide = alignment.crop(images, alignment.box_transform(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), margin=2), 96)
    assert (wide[:, :, :20] == -1).all() and wide[:, :, 48, 48].abs().max() <= 1


def test_crop_follows_the_points():
    """A point of the image lands where the template wants it."""
    image = torch.full((1, 3, 128, 128), -1.0)
    points = torch.tensor([[[0.3, 0.4], [0.6, 0.35], [0.47, 0.55], [0.35, 0.7], [0.62, 0.66]]])
    x, y = (points[0, 2] * 128).int().tolist()
    image[:, :, y - 1 : y + 2, x - 1 : x + 2] = 1
    template = torch.tensor(arcface.TEMPLATE) / 112
    crop = alignment.crop(image, alignment.similarity(points, template), 112)
    bright = (crop[0, 0] > 0).nonzero().float().mean(0).flip(0) / 112
    assert (bright - template[2]).abs().max() < 0.05


@pytest.fixture(scope="module")
def network():
    """facenet-pytorch's network with random weights and batch norms that are not the identity."""
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    net = InceptionResnetV1().eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
    return net


def frozen_graph(net):
    """The constants that TensorFlow's freezing would write for `net`: batch norm folded, HWIO."""
    root, constants = "InceptionResnetV1/", {}
    for scope, name in facenet._convolutions().items():
        module = net.get_submodule(name)
        gain = (module.bn.running_var + module.bn.eps).rsqrt()
        weight = module.conv.weight * gain[:, None, None, None]
        constants[f"{root}{scope}/weights"] = weight.permute(2, 3, 1, 0).numpy()
        constants[f"{root}{scope}/Conv2D_bn_offset"] = (module.bn.bias - module.bn.running_mean * gain).numpy()
    blocks = {s.format(i + 1): m.format(i) for s, (m, n, _) in facenet._REPEATS.items() for i in range(n)}
    for scope, name in (blocks | {"Block8": "block8"}).items():
        layer = net.get_submodule(name).conv2d
        constants[f"{root}{scope}/Conv2d_1x1/weights"] = layer.weight.permute(2, 3, 1, 0).numpy()
        constants[f"{root}{scope}/Conv2d_1x1/biases"] = layer.bias.numpy()
    constants[f"{root}Bottleneck/weights"] = net.last_linear.weight.T.numpy()
    for name, value in (("beta", "bias"), ("moving_mean", "running_mean"), ("moving_variance", "running_var")):
        constants[f"{root}Bottleneck/BatchNorm/{name}"] = getattr(net.last_bn, value).numpy()
    return constants


def test_facenet_from_a_frozen_graph(network):
    model = facenet.FaceNet(align="none")
    model.net.load_state_dict(facenet.state_from_graph(frozen_graph(network), model.net))
    images = faces(facenet.SIZE, 1)
    assert torch.allclose(model(images), network(images * 127.5 / 128), atol=1e-4)
    graph = frozen_graph(network)
    del graph["InceptionResnetV1/Block8/Conv2d_1x1/biases"]
    with pytest.raises(ValueError, match="no constant 'InceptionResnetV1/Block8/Conv2d_1x1/biases'"):
        facenet.state_from_graph(graph, model.net)
    graph = frozen_graph(network) | {"InceptionResnetV1/Extra/weights": np.zeros((9, 9), np.float32)}
    with pytest.raises(ValueError, match="no layer takes.*Extra"):
        facenet.state_from_graph(graph, model.net)


def test_facenet_from_the_official_state(network, tmp_path):
    path = tmp_path / "vggface2.pt"
    torch.save(network.state_dict() | {"logits.weight": torch.zeros(3, 512), "logits.bias": torch.zeros(3)}, path)
    model = facenet.FaceNet.load("vggface2", path=path)
    images = faces(200, 1).requires_grad_()
    embedding = model(images)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(1), atol=1e-5)
    embedding.sum().backward()
    assert images.grad.abs().sum() > 0
    model.train()
    assert not model.net.training


def test_detected_landmarks_drive_the_crop(network):
    class Finder:
        """Finds what stands at the FFHQ positions, so that both modes must agree."""

        def __call__(self, images):
            points = torch.tensor(alignment.FFHQ_LANDMARKS).expand(len(images), -1, -1)
            return points, torch.tensor(alignment.FFHQ_BOX).expand(len(images), -1), torch.ones(len(images))

    images = faces(128)
    fixed, found = facenet.FaceNet(), facenet.FaceNet("detect", Finder())
    assert torch.allclose(fixed.crop(images), found.crop(images), atol=1e-5)
    with pytest.raises(ValueError, match="align is 'fhq'; did you mean 'ffhq'"):
        facenet.FaceNet("fhq")
    with pytest.raises(ValueError, match="weights 'casa'; did you mean 'casia'"):
        facenet.FaceNet.load("casa")


def test_anchor_cells():
    centres, strides = scrfd._cells(64)
    assert len(centres) == 2 * (64 + 16 + 4) and centres[-1].tolist() == [32, 32]
    assert centres[2].tolist() == [8, 0] and strides[128].item() == 16
