"""Random whole programs: statements on tensors, views and modules, in an order that nobody chose.

`generate(seed, number)` gives the text of one. It draws some statements that make layers or constants, and some that compute with them;
the variables keep their shapes: v [b, n, h], u [b, n, n, h], g [b, h], k [b, n] whole numbers below n, m [b, n, n] bool.
"""

import random

MAKE = [
    "self.l1 = nn.Linear(h, h)",
    "self.l2 = nn.Linear(h, h, bias=False)",
    "self.ln = nn.LayerNorm(h)",
    "self.pr = nn.PReLU(h)",
    "self.em = nn.Embedding(4, h, padding_idx=0)",
    "self.seq = nn.Sequential(nn.Linear(h, 2 * h), nn.GELU(), nn.Dropout(0.2), nn.Linear(2 * h, h))",
    "self.w = nn.Parameter(torch.ones(h)); nn.init.normal_(self.w, 1.0, 0.1)",
    "self.mix = nn.Parameter(torch.empty(h, h)); nn.init.orthogonal_(self.mix)",
    "self.register_buffer('ramp', torch.linspace(-1, 1, h))",
    "self.bn = nn.BatchNorm1d(h)",
    "self.att = nn.MultiheadAttention(h, 2, batch_first=True)",
    "self.heads = nn.ModuleList(nn.Linear(h, h // 4) for _ in range(4))",
    "self.l2.weight = self.l1.weight",
    "with torch.no_grad():\n    self.l1.weight[:2] = 0.5\n    self.l1.bias.zero_()",
    "self.wn = nn.utils.parametrizations.weight_norm(nn.Linear(h, h))",
    "self.drop = nn.Dropout(0.3)",
]

USE = [
    ("l1", "v = self.l1(v)"),
    ("l2", "v = v + self.l2(v)"),
    ("ln", "v = self.ln(v)"),
    ("ln", "u = self.ln(u)"),
    ("pr", "v = self.pr(v.transpose(1, 2)).transpose(1, 2)"),
    ("em", "v = v + self.em(k.clamp(max=3))"),
    ("seq", "v = self.seq(v)"),
    ("w", "v = v * self.w"),
    ("w", "v *= self.w"),
    ("mix", "v = v @ self.mix.t()"),
    ("ramp", "v = v + self.ramp"),
    ("bn", "v = self.bn(v.flatten(0, 1)).view(b, n, h)"),
    ("bn", "v = self.bn(v.transpose(1, 2)).transpose(1, 2)"),
    ("att", "v = v + self.att(v, v, v)[0]"),
    ("att", "v = self.att(v, v, v, key_padding_mask=None, need_weights=False)[0]"),
    ("heads", "v = torch.cat([head(v) for head in self.heads], dim=-1)"),
    ("wn", "v = self.wn(v)"),
    ("drop", "v = self.drop(v)"),
    ("drop", "u = u + self.drop(u)"),
    (None, "v = torch.select_scatter(v.transpose(1, 2), v[..., 0] * 0.5, 1, 1).transpose(1, 2)"),
    (None, "v = torch.slice_scatter(v, v[..., :2] * 0.5, -1, 1, 3)"),
    (None, "u = torch.diagonal_scatter(u, v.transpose(1, 2), 0, 1, 2)"),
    (None, "v = v.transpose(1, 2).index_fill(1, torch.tensor([1]), 0.3).transpose(1, 2)"),
    (None, "v.index_fill_(-1, torch.tensor([0]), 0.3)"),
    (None, "v = torch.rot90(v.unflatten(-1, (2, -1)), 2, (-2, -1)).flatten(-2)"),
    (None, "u = torch.rot90(u, 1, (1, 2))"),
    (None, "u = torch.kron(u[..., ::2], torch.tensor([0.5, -1.0]))"),
    (None, "v = v + torch.diag(v[0, :, 0]) @ v"),
    (None, "v = torch.fliplr(v)"),
    (None, "v = v + F.pairwise_distance(v, v.flip(1), keepdim=True) * 0.1"),
    (None, "v = torch.copysign(v, torch.sin(v * 3))"),
    (None, "v.copysign_(torch.cos(v))"),
    (None, "p = torch.sinc(v)\nv += p"),
    (None, "p = F.hardshrink(v, 0.1)\nv *= 0.5\nv = v + p"),
    (None, "p = torch.asinh(v)\np += 1\nv = v + p"),
    (None, "v = torch.sinc(v)"),
    (None, "v.sinc_()"),
    (None, "v = torch.xlogy(torch.sigmoid(v), torch.sigmoid(-v))"),
    (None, "v = torch.logaddexp2(v, -v) * 0.5"),
    (None, "v = v + torch.trapezoid(v, dim=-1).unsqueeze(-1) * 0.1"),
    (None, "v = v + torch.linalg.vecdot(v, v).unsqueeze(-1) * 0.1"),
    (None, "v = torch.erfc(v)"),
    (None, "v = torch.fmod(v, 0.7)"),
    (None, "v.fmod_(0.7)"),
    (None, "v = torch.lerp(v, -v, 0.7)"),
    (None, "v.lerp_(torch.tanh(v), 0.2)"),
    (None, "v = torch.column_stack([v.flatten(0, 1)[:, 1:], v.flatten(0, 1)[:, 0]]).view(b, n, h)"),
    (None, "v = v.adjoint().contiguous().adjoint()"),
    (None, "p = torch.positive(v)\np *= 0.5"),
    (None, "p = torch.atleast_3d(v)\np *= 0.5"),
    (None, "p = v.rot90(1, (1, 2))\nv = v + p.sum() * 0.1"),
    (None, "v = v + torch.isin(k, torch.tensor([0, 2])).unsqueeze(-1)"),
    (None, "v = torch.tanh(v) * 0.5 + v"),
    (None, "v = F.relu(v, inplace=True) + v"),
    (None, "F.leaky_relu_(v, 0.1)"),
    (None, "v = nn.SiLU(inplace=True)(v)"),
    (None, "v[:, 0] += 1.0"),
    (None, "v[..., ::2] = 0.5"),
    (None, "v[..., 1:] += v[..., :-1].clone()"),
    (None, "p = v.view(b, n, 2, -1)\np[:, :, 1] *= 0.5"),
    (None, "p, q = v.chunk(2, dim=-1)\nv = torch.cat([q, p * 2], dim=-1)"),
    (None, "p, q = v.chunk(2, dim=-1)\np += q"),
    (None, "p = v.transpose(1, 2)\np.mul_(0.5)"),
    (None, "p = v.unbind(-1)\nv = torch.stack(p[::-1], dim=-1)"),
    (None, "p = v[:, :1].clone()\np.fill_(0.25)\nv = v + p"),
    (None, "p = v.detach()\nv = v + p.abs()"),
    (None, "p = v\np = p + 1\nv = v * p"),
    (None, "p = v\np += 1\nv = v * 0.5"),
    (None, "v = torch.where(m.any(-1, keepdim=True), v, -v)"),
    (None, "v = v.masked_fill(k[..., None] > 1, 0.25)"),
    (None, "v.masked_fill_((k > 1).unsqueeze(-1), -0.5)"),
    (None, "v[k > 1] = 0.0"),
    (None, "v = v.gather(1, k[..., None].expand(-1, -1, h))"),
    (None, "v = torch.take_along_dim(v, k[..., None], dim=1)"),
    (None, "v = v[torch.arange(b)[:, None], k]"),
    (None, "v = v.index_select(-1, torch.arange(h).flip(0))"),
    (None, "v = torch.zeros_like(v).scatter_add(1, k[..., None].expand(-1, -1, h), v)"),
    (None, "p = v.new_zeros(b, n, h)\np.scatter_(1, k[..., None], 1.0)\nv = v + p"),
    (None, "v = v.sort(dim=-1)[0]"),
    (None, "v = v - v.topk(3, dim=-1).values.mean(-1, keepdim=True)"),
    (None, "v = v.cumsum(1) / n"),
    (None, "v = F.layer_norm(v, (h,)) + v"),
    (None, "v = F.rms_norm(v, (h,))"),
    (None, "v = F.normalize(v, dim=-1)"),
    (None, "v = v / v.norm(dim=-1, keepdim=True).clamp(min=0.1)"),
    (None, "v = v.softmax(-1) * h"),
    (None, "v = v.roll(1, dims=-1).flip(1)"),
    (None, "v = F.pad(v, (1, 0))[..., :-1]"),
    (None, "v = F.glu(torch.cat([v, v.roll(1, -1)], -1), dim=-1)"),
    (None, "v = v.view(b, n, h // 4, 4).transpose(2, 3).reshape(b, n, h)"),
    (None, "v = torch.einsum('bnmh,bmh->bnh', u.softmax(2), v)"),
    (None, "v = torch.bmm(adj_mat / adj_mat.sum(-1, keepdim=True), v)"),
    (None, "v = v + u.mean(2)"),
    (None, "v = v * u.amax(1)"),
    (None, "v = v + u.max(dim=2)[0]"),
    (None, "v = v + u.logsumexp(dim=(1, 2)).unsqueeze(1)"),
    (None, "v = v + u.std(dim=2, unbiased=False)"),
    (None, "v = torch.lerp(v, hidden, 0.3)"),
    (None, "v = v % 0.7"),
    (None, "v = torch.maximum(v, v.roll(1, -1))"),
    (None, "v = v.clamp(-0.5, 0.5) + v"),
    (None, "v = v.clamp(min=v.mean(-1, keepdim=True))"),
    (None, "v = v.round().detach() + v"),
    (None, "v = v.sign() * v.abs().sqrt().clamp(max=2)"),
    (None, "v = v.sigmoid_()"),
    (None, "v = v.pow(2) - v"),
    (None, "v = torch.addcmul(v, g[:, None], v, value=0.5)"),
    (None, "v = v + g.unsqueeze(1)"),
    (None, "v = v.mean(1, keepdim=True).expand(-1, n, -1) + v"),
    (None, "v = v - v.var(dim=1, keepdim=True)"),
    (None, "v = v.squeeze(0) if v.dim() > 3 else v"),
    (None, "v = torch.cat([v, v.new_ones(b, n, 1)], dim=-1)[..., 1:]"),
    (None, "v = sum(torch.roll(v, i, dims=-1) for i in range(3)) / 3"),
    (None, "v = v.to(torch.float32).type_as(hidden).contiguous()"),
    (None, "u = u + v[:, None] * v[:, :, None]"),
    (None, "u = u.transpose(1, 2) - u"),
    (None, "u = u.permute(0, 2, 1, 3).contiguous()"),
    (None, "u = u * adj_mat.unsqueeze(-1)"),
    (None, "u[..., 0] *= adj_mat"),
    (None, "u = u.masked_fill(~m.unsqueeze(-1), -1.0)"),
    (None, "u[~m] = 0.0"),
    (None, "u[:, torch.arange(n), torch.arange(n)] = 0.0"),
    (None, "p = u.diagonal(dim1=1, dim2=2)\np *= 2.0"),
    (None, "u = torch.tril(u.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)"),
    (None, "u = torch.matmul(u.permute(0, 3, 1, 2), v.permute(0, 2, 1)[..., None]).permute(0, 2, 3, 1) + u"),
    (None, "u = F.softplus(u) - 0.5"),
    (None, "u = u - u.mean(dim=(1, 2), keepdim=True)"),
    (None, "u = u + torch.eye(n)[None, :, :, None]"),
    (None, "u = u + F.one_hot(k, n)[..., None].float()"),
    (None, "u = torch.cdist(v, v)[..., None] * 0.1 + u"),
    (None, "u = u / (1 + u.abs())"),
    (None, "u = u.flatten(2).view_as(u)"),
    (None, "u.add_(v[:, :, None], alpha=0.5)"),
    (None, "u.transpose(1, 2).add_(v[:, None])"),
    (None, "u = u.expand(b, n, n, h).clone()"),
    (None, "g = v.mean(1) + g"),
    (None, "g = g + u.sum(dim=(1, 2)) / n ** 2"),
    (None, "g = torch.relu_(g.clone())"),
    (None, "g[:, :4] = g[:, 4:8]"),
    (None, "k = u.sum(-1).argmax(-1)"),
    (None, "k = (k + 1) % n"),
    (None, "k = (v.sum(-1) > 0).long()"),
    (None, "k = k.clamp(0, 1)"),
    (None, "k = adj_mat.sum(-1).long() - 1"),
    (None, "k = torch.arange(n).expand(b, n)"),
    (None, "k = v.mean(-1).argsort(dim=-1)"),
    (None, "m = m & (u[..., 0] > 0)"),
    (None, "m = m | m.transpose(1, 2)"),
    (None, "m = ~m"),
    (None, "m = torch.ones(n, n).triu(1).bool() & m"),
    (None, "with torch.no_grad():\n    v = v * 1.5"),
    (None, "with torch.no_grad():\n    p = v.mean(1, keepdim=True)\nv = v - p"),
    (None, "v = v * 0.9 if self.training else v"),
    (None, "v = F.dropout(v, 0.3, self.training)"),
    (None, "u = F.dropout(u, 0.3, training=self.training, inplace=True) * 1.0"),
    (None, "v = F.dropout1d(v.transpose(1, 2), 0.3, self.training).transpose(1, 2)"),
    (None, "if self.training:\n    v = v + 0.1 * torch.randn_like(v)"),
    (None, "v = F.gumbel_softmax(v, tau=0.7) if self.training else v.softmax(-1)"),
    (None, "if self.training:\n    v = v * torch.empty(b, 1, 1).bernoulli_(0.8) / 0.8"),
    (None, "for i in range(2):\n    v = torch.sin(v) + i"),
    (None, "d = {'x': v, 'y': g}\nv = d['x'] + d['y'][:, None]"),
    (None, "p = [v * s for s in (0.5, 1.5)]\nv = p[0] * p[-1]"),
    (None, "v, p = (v, v.mean()) if h > 4 else (v * 2, v)\nv = v + p"),
    (None, "q = lambda x, s=2: x * s\nv = q(v) - q(v, s=0.5)"),
    (None, "v = getattr(torch, 'tanh')(v) + getattr(self, 'nothing', 0)"),
    (None, "try:\n    v = self.nothing(v)\nexcept AttributeError:\n    v = v + 0.5"),
    (None, "match v.dim():\n    case 3:\n        v = v * 1.1\n    case _:\n        v = -v"),
    (None, "assert v.shape == (b, n, h), f'{v.shape}'"),
    (None, "v = v.reshape(-1, h).view(b, -1, h)"),
    (None, "v = v.unflatten(-1, (4, -1)).mean(-1).repeat_interleave(h // 4, dim=-1)"),
    (None, "v = torch.nan_to_num(v / v.abs().clamp_min(0.5))"),
    (None, "v = v.double().float() if False else v.float()"),
    (None, "p = v.sum()\nv = v / (1 + p * p).sqrt()"),
]

PROGRAM = '''import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class Processor(nn.Module):
    pass


class PGN(Processor):
    def __init__(self, size: int, width: int = 8):
        super().__init__()
        h = size
        # ===== BEGIN OPERATOR REGION =====
        self.lift = nn.Linear(2 * size, size)
{make}
        # ===== END OPERATOR REGION =====

    def forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused):
        b, n, h = hidden.shape
        v = self.lift(torch.cat([node_fts, hidden], dim=-1))
        u = edge_fts + 0.0
        g = graph_fts * 1.0
        k = adj_mat.argmax(-1)
        m = adj_mat > 0
        # ===== BEGIN ACTION REGION =====
{use}
        # ===== END ACTION REGION =====
        ret = v + 0.1 * g[:, None] + 0.01 * k[..., None]
        tri_msgs = u + 0.1 * v[:, None] + m[..., None].float()
        return ret, tri_msgs


def get_processor_factory(kind="mpnn", use_ln=True, nb_triplet_fts=8, nb_heads=None):
    return lambda out_size: PGN(out_size, nb_triplet_fts)
'''


def generate(seed, number):
    draw = random.Random(f"{seed} {number}")
    made, make, use = {"l1", "l2"}, [MAKE[0], MAKE[1]], []
    while len(use) < 2 + number % 6:
        needs, text = draw.choice(USE)
        if needs not in made and needs is not None:
            make += [text_ for text_ in MAKE if text_.startswith(f"self.{needs} ")]
            made.add(needs)
        use.append(text)
    make += [text for text in MAKE[12:14] if draw.random() < 0.1]
    lines = lambda texts: "\n".join("        " + line for text in texts for line in text.split("\n"))
    return PROGRAM.replace("{make}", lines(make)).replace("{use}", lines(use))
