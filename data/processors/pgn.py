"""The CLRS benchmark's `pgn`: messages along the edges of the graph, neither gate nor triplet channel."""

from __future__ import annotations

from typing import Callable, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

BLOCKED = -1e6


class Processor(nn.Module):
    """Common base: a processor has a name and says whether it biases the decoders (these never do)."""

    def __init__(self, name: str):
        super().__init__()
        self.processor_name = name

    @property
    def inf_bias(self) -> bool:
        return False

    @property
    def inf_bias_edge(self) -> bool:
        return False


class PGN(Processor):
    """Pointer graph network: messages travel along the edges of the adjacency matrix only."""

    def __init__(
        self,
        out_size: int,
        use_ln: bool = True,
        activation: Optional[Callable] = F.relu,
        name: str = "pgn",
    ):
        super().__init__(name)
        self.out_size = out_size
        self.use_ln = use_ln
        self.activation = activation
        self.initialised = False

    def _maybe_lazy_init(self, z: torch.Tensor, edge_fts: torch.Tensor, graph_fts: torch.Tensor) -> None:
        """Makes the layers at the first call, when the widths of the inputs are known."""
        if self.initialised:
            return
        size = self.out_size
        z_size = z.shape[-1]
        e_size = edge_fts.shape[-1]
        g_size = graph_fts.shape[-1]

        # messages: receiver, sender, edge, graph
        self.m_1 = nn.Linear(z_size, size)
        self.m_2 = nn.Linear(z_size, size)
        self.m_e = nn.Linear(e_size, size)
        self.m_g = nn.Linear(g_size, size)
        self.msg_mlp = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))

        # update
        self.o1 = nn.Linear(z_size, size)
        self.o2 = nn.Linear(size, size)
        if self.use_ln:
            self.ln = nn.LayerNorm(size)

        # ===== BEGIN OPERATOR REGION =====
        pass
        # ===== END OPERATOR REGION =====

        self.to(z.device)
        self.initialised = True

    def get_triplet_msgs(
        self, z: torch.Tensor, edge_fts: torch.Tensor, graph_fts: torch.Tensor, adj_mat: torch.Tensor
    ) -> Optional[torch.Tensor]:
        """This processor has no triplet channel."""
        # ===== BEGIN ACTION REGION =====
        tri_msgs = None
        # ===== END ACTION REGION =====

        return tri_msgs

    def forward(
        self,
        node_fts: torch.Tensor,
        edge_fts: torch.Tensor,
        graph_fts: torch.Tensor,
        adj_mat: torch.Tensor,
        hidden: torch.Tensor,
        **unused,
    ) -> Tuple[torch.Tensor, Optional[torch.Tensor]]:
        z = torch.cat([node_fts, hidden], dim=-1)
        self._maybe_lazy_init(z, edge_fts, graph_fts)

        # [B, sender, receiver, H]; the first axis of nodes goes when messages are aggregated
        msgs = (
            self.m_1(z).unsqueeze(1)
            + self.m_2(z).unsqueeze(2)
            + self.m_e(edge_fts)
            + self.m_g(graph_fts)[:, None, None, :]
        )
        msgs = self.msg_mlp(F.relu(msgs))
        msgs = msgs.masked_fill(adj_mat.unsqueeze(-1) == 0, BLOCKED).amax(dim=1)

        ret = self.o1(z) + self.o2(msgs)
        if self.activation is not None:
            ret = self.activation(ret)
        if self.use_ln:
            ret = self.ln(ret)

        return ret, self.get_triplet_msgs(z, edge_fts, graph_fts, adj_mat)


def get_processor_factory(
    kind: str = "mpnn", use_ln: bool = True, nb_triplet_fts: int = 8, nb_heads: Optional[int] = None
) -> Callable[[int], Processor]:
    """The factory that trainers call; triplets and attention heads are for other processors."""

    def factory(out_size: int) -> Processor:
        return PGN(out_size, use_ln=use_ln, name=kind)

    return factory
