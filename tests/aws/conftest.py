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


@pytest.fixture(scope="module")
def catalogued(tmp_path_factory):
    """A stack of its own, whose merges register their tables in the database `crm`."""
    cloud = Cloud(tmp_path_factory.mktemp("catalogued"), programs(), CatalogDatabase="crm")
    yield cloud
    cloud.stop()
