"""Which tokens are kept, for random and for row and column masks."""

from tests.golden.himu_mae._shared import masking_of


def run(case):
    got = {}
    for variant in case.settings["variants"]:
        name = variant["name"]
        settings = {k: v for k, v in variant.items() if v is not None}
        order = "noise" if variant["function"].startswith("vit") else "raster"
        masking = masking_of(case, name, settings, order=order)
        rows, columns = variant["grid"]
        assert masking.order.shape == (variant["batch"], rows * columns)
        got |= {
            f"{name}.kept": masking.keep_BK,
            f"{name}.mask": masking.hidden.float(),
            f"{name}.ids_restore": masking.restore,
        }
    return got
