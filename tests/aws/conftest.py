import pytest
from cloud import Api, Cloud, programs


@pytest.fixture(scope="session")
def api():
    return Api()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("aws"), programs())
    yield cloud
    cloud.stop()
