import hashlib
import http.server
import json
import threading
import zipfile
from functools import partial

import numpy as np
import pytest
from csbdeep.models import pretrained as registered
from stardist.models import Config2D, StarDist2D

from nucseg.core.errors import ConfigError, DownloadError, ModelError
from nucseg.models.bundle import ModelBundle
from nucseg.models.stardist.config import PRETRAINED, StarDistConfig
from nucseg.models.stardist.model import StarDist
from nucseg.models.stardist.pretrained import create, fetch

NAME = "2D_versatile_fluo"
CONFIG = {"in_channels": 1, "n_rays": 16, "unet_n_depth": 2, "unet_n_filter_base": 4, "net_conv_after_unet": 8}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A model of the `stardist` package, in its folder and as the zip archive that its authors publish."""
    base = tmp_path_factory.mktemp("published")
    config = Config2D(
        n_rays=16, grid=(2, 2), unet_n_depth=2, unet_n_filter_base=4, net_conv_after_unet=8, train_epochs=7
    )
    model = StarDist2D(config, name="model", basedir=base)
    model.keras_model.save_weights(base / "model" / "weights_best.h5")
    (base / "model" / "thresholds.json").write_text(json.dumps({"prob": 0.479, "nms": 0.3}))
    (base / "www").mkdir()
    with zipfile.ZipFile(base / "www" / "model.zip", "w") as archive:
        for name in ("config.json", "thresholds.json", "weights_best.h5"):
            archive.write(base / "model" / name, name)
    return base, model


@pytest.fixture
def server(published, monkeypatch, tmp_path):
    """Serve the archive in place of the published one, with an empty cache; returns the registered entry."""
    base, _ = published
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=base / "www")
    handler.log_message = lambda *args: None
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *args: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        entry = {
            "url": f"http://127.0.0.1:{http_server.server_port}/model.zip",
            "hash": hashlib.sha256((base / "www" / "model.zip").read_bytes()).hexdigest(),
        }
        monkeypatch.setitem(registered._MODELS[StarDist2D], NAME, entry)
        monkeypatch.setenv("NUCSEG_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield entry
        http_server.shutdown()


def check_same_network(model, original):
    image = np.random.default_rng(0).random((32, 48, 1), np.float32)
    expected = original.keras_model.predict(image[None], verbose=0)
    for found, wanted in zip(model.network(image[None])[:2], expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_published_names_are_registered_by_the_package():
    assert set(PRETRAINED) < set(registered.get_registered_models(StarDist2D)[0])


def test_a_published_model_is_downloaded_once(server, published, tmp_path, monkeypatch):
    model = create(StarDistConfig(pretrained=NAME, **CONFIG))
    check_same_network(model, published[1])
    assert model.thresholds == {"score": 0.479, "nms": 0.3, "area": 0}
    assert [file.name for file in (tmp_path / "cache/models").iterdir()] == [f"{NAME}.zip"]
    monkeypatch.setitem(server, "url", "http://127.0.0.1:1/model.zip")
    check_same_network(create(StarDistConfig(pretrained=NAME, **CONFIG)), published[1])


def test_without_network_the_error_names_the_cache_folder(server, tmp_path, monkeypatch):
    monkeypatch.setitem(server, "url", "http://127.0.0.1:1/model.zip")
    with pytest.raises(DownloadError) as error:
        fetch(NAME)
    assert "http://127.0.0.1:1/model.zip" in str(error.value)
    assert str(tmp_path / "cache/models" / f"{NAME}.zip") in str(error.value)
    assert "put it at" in str(error.value)
    assert "stardist.architecture.pretrained" in str(error.value)


@pytest.mark.parametrize("change,value", [("hash", "0" * 64), ("url", "/missing.zip")])
def test_a_wrong_or_missing_archive_leaves_nothing(server, tmp_path, monkeypatch, change, value):
    monkeypatch.setitem(server, change, value if change == "hash" else server["url"].replace("/model.zip", value))
    with pytest.raises(DownloadError, match=NAME):
        create(StarDistConfig(pretrained=NAME, **CONFIG))
    assert not list((tmp_path / "cache/models").iterdir())


def test_another_architecture_is_refused_with_the_values_to_set(server):
    config = StarDistConfig(**{**CONFIG, "in_channels": 3, "n_rays": 32, "grid": 1}, pretrained=NAME)
    with pytest.raises(ConfigError) as error:
        create(config)
    assert "stardist.architecture.in_channels = 1" in str(error.value)
    assert "stardist.architecture.n_rays = 16" in str(error.value)
    assert "stardist.architecture.grid = 2" in str(error.value)


@pytest.mark.parametrize("options", [{}, {"refine_radius": 0}, {"refine_radius": 0, "fine_tune": False}])
def test_from_a_folder_of_the_package(published, options):
    base, original = published
    model = create(StarDistConfig(pretrained=str(base / "model"), **CONFIG, **options))
    check_same_network(model, original)
    assert model.thresholds == {"score": 0.479, "nms": 0.3, "area": 0}
    assert len(model.network.outputs) == (2 if options else 3)


def test_a_foreground_head_that_learned_nothing_is_refused(published, small_stardist, tmp_path):
    plain = StarDist(small_stardist.config.model_copy(update={"refine_radius": 0}))
    ModelBundle("plain", plain, ()).save(tmp_path / "plain")
    for folder in (published[0] / "model", tmp_path / "plain"):
        config = {**CONFIG, "unet_n_filter_base": 8, "net_conv_after_unet": 32} if folder.name == "plain" else CONFIG
        with pytest.raises(ConfigError, match=r"architecture\.refine_radius: 3 is not allowed.*Set it to 0"):
            create(StarDistConfig(pretrained=str(folder), fine_tune=False, **config))


@pytest.fixture(scope="module")
def model_folder(small_stardist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "mine"
    ModelBundle("mine", small_stardist, ()).save(folder)
    return str(folder)


@pytest.mark.parametrize("fine_tune", [True, False])
def test_from_a_model_folder(small_stardist, model_folder, fine_tune):
    model = create(
        small_stardist.config.model_copy(
            update={"pretrained": model_folder, "fine_tune": fine_tune, "refine_radius": 5, "train_dist_loss": "iou"}
        )
    )
    assert (model.config.refine_radius, model.config.train_dist_loss) == (5, "iou")
    for found, expected in zip(model.network.weights, small_stardist.network.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_foreground_head_is_left_out_or_added(small_stardist, model_folder, tmp_path):
    plain = create(small_stardist.config.model_copy(update={"pretrained": model_folder, "refine_radius": 0}))
    assert len(plain.network.outputs) == 2
    ModelBundle("plain", plain, ()).save(tmp_path / "plain")
    again = create(small_stardist.config.model_copy(update={"pretrained": str(tmp_path / "plain")}))
    assert len(again.network.outputs) == 3
    for model in (plain, again):
        for found, expected in zip(model.polygon_model.weights, small_stardist.polygon_model.weights, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_another_foreground_head_is_refused_with_the_value_to_set(small_stardist, model_folder):
    with pytest.raises(ConfigError, match=r"set stardist\.architecture\.refine_filters = 32"):
        create(small_stardist.config.model_copy(update={"pretrained": model_folder, "refine_filters": 8}))


@pytest.mark.parametrize("ours", [True, False], ids=["nucseg's", "the package's"])
def test_what_a_unet_needs_beside_the_backbone_is_said_at_once(model_folder, published, ours):
    """`conf/base` has another backbone than older models."""
    config = StarDistConfig(
        backbone="efficientnet_lite0",
        refine_filters=16,
        pretrained=model_folder if ours else str(published[0] / "model"),
    )
    with pytest.raises(ConfigError) as error:
        create(config)
    wanted = {"in_channels": 1, "backbone": "unet", "n_rays": 16, "unet_n_depth": 2}
    wanted |= {"unet_n_filter_base": 8, "net_conv_after_unet": 32, "refine_filters": 32} if ours else {}
    for name, value in wanted.items():
        assert f"stardist.architecture.{name} = {value}" in str(error.value)
    assert "decoder_filters" not in str(error.value)


def test_on_a_trunk_the_foreground_head_is_part_of_the_network(tmp_path):
    """The scores are computed from its features."""
    config = StarDistConfig(backbone="efficientnet_lite0", decoder_filters=(8, 8, 8, 8), net_conv_after_unet=8)
    ModelBundle("trunk", StarDist(config), ()).save(tmp_path / "trunk")
    folder = {"pretrained": str(tmp_path / "trunk")}
    assert create(config.model_copy(update=folder)).config.refine_radius == 3
    with pytest.raises(ConfigError, match=r"set stardist\.architecture\.refine_radius = 3\."):
        create(config.model_copy(update={**folder, "refine_radius": 0}))


def test_random_weights():
    model = create(StarDistConfig(**CONFIG))
    assert model.thresholds == {"score": 0.5, "nms": 0.4, "area": 0}


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="'2D_demo' is neither a folder nor one of imagenet, 2D_versatile_fluo"):
        create(StarDistConfig(pretrained="2D_demo"))


def test_a_folder_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"needs config\.json and weights_best\.h5"):
        create(StarDistConfig(pretrained=str(tmp_path)))


@pytest.mark.parametrize("change", [{"unet_batch_norm": True}, {"grid": [2, 4]}, {"n_classes": 3}])
def test_what_nucseg_does_not_support_is_refused(published, tmp_path, change):
    config = json.loads((published[0] / "model/config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=f"{next(iter(change))}.*does not support"):
        create(StarDistConfig(pretrained=str(tmp_path), **CONFIG))
