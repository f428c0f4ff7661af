//! Parts of torch that are left out on purpose, each with the reason and what to use instead.

/// The reason for a full name such as `torch.nn.BatchNorm1d`, or a tensor's method such as `Tensor.unfold`.
pub fn reason(name: &str) -> Option<&'static str> {
    REASONS.iter().find(|(names, _)| names.split(' ').any(|n| n == name)).map(|r| r.1)
}

const REASONS: &[(&str, &str)] = &[
    (
        "torch.nn.LazyBatchNorm1d torch.nn.LazyBatchNorm2d torch.nn.LazyBatchNorm3d torch.nn.SyncBatchNorm",
        "use nn.BatchNorm1d with the number of features",
    ),
    (
        "torch.nn.LazyInstanceNorm1d torch.nn.functional.instance_norm",
        "use nn.InstanceNorm1d, or nn.GroupNorm with as many groups as channels",
    ),
    (
        "torch.nn.LSTM torch.nn.GRU torch.nn.RNN",
        "a sequence layer would run along the nodes, whose number is not known; use nn.GRUCell or nn.LSTMCell per node",
    ),
    (
        "torch.nn.Transformer torch.nn.TransformerDecoder torch.nn.TransformerDecoderLayer",
        "use nn.TransformerEncoderLayer, or write the block out with nn.MultiheadAttention, nn.LayerNorm and nn.Linear",
    ),
    (
        "torch.nn.Conv3d torch.nn.ConvTranspose1d torch.nn.ConvTranspose2d torch.nn.functional.conv1d torch.nn.functional.conv2d \
         torch.nn.MaxPool1d torch.nn.MaxPool2d torch.nn.AvgPool1d torch.nn.AvgPool2d torch.nn.functional.max_pool1d \
         torch.nn.functional.avg_pool1d torch.nn.Upsample torch.nn.functional.interpolate torch.nn.functional.unfold \
         torch.nn.Unfold torch.nn.Fold Tensor.unfold",
        "nodes have no order or grid that a window could slide over; reduce over a whole axis instead",
    ),
    ("torch.nn.EmbeddingBag", "look up with nn.Embedding and reduce with .sum or .mean"),
    (
        "torch.nn.utils.spectral_norm torch.nn.utils.parametrizations.spectral_norm",
        "each call in training would move its estimate on, from one time step to the next; use torch.nn.utils.parametrizations.weight_norm",
    ),
    (
        "torch.nn.utils.parametrizations.orthogonal torch.nn.utils.parametrize torch.nn.utils.remove_weight_norm",
        "of the parametrisations, torch.nn.utils.parametrizations.weight_norm is there",
    ),
    ("torch.sparse", "tensors are dense here: mask with adj_mat"),
    ("torch.scatter_reduce Tensor.scatter_reduce", "use scatter_add, or mask and .amax over an axis"),
    (
        "torch.allclose torch.equal Tensor.equal Tensor.allclose",
        "a decision on values has no fixed graph; compare with torch.where",
    ),
    (
        "torch.cummax torch.cummin Tensor.cummax Tensor.cummin torch.logcumsumexp",
        "of the running reductions, cumsum and cumprod are there",
    ),
    ("torch.quantile Tensor.quantile torch.mode Tensor.mode", "use .median, .kthvalue, topk or sort"),
    ("torch.bincount torch.histc Tensor.bincount", "the size depends on values; count with F.one_hot(...).sum(dim)"),
    (
        "torch.linalg.inv torch.inverse torch.linalg.solve torch.linalg.eigh torch.linalg.eig torch.linalg.svd torch.svd \
         torch.linalg.qr torch.linalg.det torch.linalg.cholesky torch.matrix_exp torch.linalg.matrix_exp torch.linalg.pinv",
        "matrix decompositions are not supported; a few rounds of matmul often do",
    ),
    ("torch.float_power Tensor.float_power", "it gives floats of 64 bits; use torch.pow"),
    ("collections.Counter collections.deque", "use a dict or a list"),
    ("collections.defaultdict", "use a dict with setdefault"),
    ("torch.take Tensor.take", "flatten and use index_select or gather"),
    ("Tensor.stride Tensor.storage Tensor.data_ptr Tensor.element_size", "a tensor's memory is out of reach"),
    ("torch.fft", "Fourier transforms are not supported"),
    ("torch.vmap torch.func torch.autograd", "write the computation out with tensors of one more axis"),
    (
        "torch.combinations torch.cartesian_prod torch.tril_indices torch.triu_indices",
        "use torch.tril or torch.triu on a mask",
    ),
    (
        "torch.complex torch.view_as_complex torch.view_as_real torch.polar",
        "complex numbers are not supported; keep two real tensors",
    ),
    ("Tensor.fill_diagonal_", "use masked_fill with torch.eye(n, dtype=torch.bool)"),
    (
        "Tensor.as_strided torch.as_strided Tensor.set_ Tensor.resize_",
        "a tensor's memory is out of reach; use reshape and expand",
    ),
];
