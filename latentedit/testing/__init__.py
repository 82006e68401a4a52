"""Rules that every plugin of a kind keeps, and a linear world to try editors and metrics in.

In a plugin's tests::

    from latentedit.testing import editor_contract

    test_contract = editor_contract("my-editor")

and likewise `generator_contract`, `estimator_contract`, `identity_contract` and `metric_contract`.
On the command line: ``latentedit plugins check my-editor``.
"""

from latentedit.testing.case import Case as Case
from latentedit.testing.contract import ESTIMATOR_RULES as ESTIMATOR_RULES
from latentedit.testing.contract import GENERATOR_RULES as GENERATOR_RULES
from latentedit.testing.contract import IDENTITY_RULES as IDENTITY_RULES
from latentedit.testing.contract import METRIC_RULES as METRIC_RULES
from latentedit.testing.contract import RULES as RULES
from latentedit.testing.contract import Verdict as Verdict
from latentedit.testing.contract import check_editor as check_editor
from latentedit.testing.contract import check_estimator as check_estimator
from latentedit.testing.contract import check_generator as check_generator
from latentedit.testing.contract import check_identity as check_identity
from latentedit.testing.contract import check_metric as check_metric
from latentedit.testing.contract import editor_contract as editor_contract
from latentedit.testing.contract import estimator_contract as estimator_contract
from latentedit.testing.contract import generator_contract as generator_contract
from latentedit.testing.contract import identity_contract as identity_contract
from latentedit.testing.contract import metric_contract as metric_contract
from latentedit.testing.generator_case import GeneratorCase as GeneratorCase
from latentedit.testing.rules import Broken as Broken
