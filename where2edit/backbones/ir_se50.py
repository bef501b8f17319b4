"""IR-SE50, the residual network with squeeze-and-excitation of ArcFace (Deng et al. 2019; Hu et al. 2018).

The trunk that e4e and the identity network of the released evaluation share. Attribute names are those of the official
weight files, so that a converted file loads as it is. Legend: B batch, C channels, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

from where2edit.files.formats.ir_se50 import REDUCTION, UNITS

WIDTHS = (64, 128, 256, 512)  # channels of the four stages


class SqueezeExcite(nn.Module):
    """Weighs channels by a gate computed from their global means."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Unit(nn.Module):
    """Batch norm, two convolutions with a PReLU between, batch norm and gate, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcite(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class IRSE50(nn.Module):
    """The trunk: images [B,3,H,W] -> the outputs of its four stages, at 1/2, 1/4, 1/8 and 1/16."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__()
        if len(widths) != len(UNITS) or any(width < REDUCTION for width in widths):
            raise ValueError(f"IR-SE50 widths must be {len(UNITS)} numbers of at least {REDUCTION}, got {widths}")
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        inputs, body = widths[0], []
        for width, units in zip(widths, UNITS, strict=True):
            body += [Unit(inputs, width, 2), *(Unit(width, width, 1) for _ in range(units - 1))]
            inputs = width
        self.body = nn.Sequential(*body)

    def stages(self, x: Tensor) -> list[Tensor]:
        """The outputs of the four stages, finest first."""
        x, start, outputs = self.input_layer(x), 0, []
        for units in UNITS:
            x = self.body[start : start + units](x)
            start += units
            outputs.append(x)
        return outputs
