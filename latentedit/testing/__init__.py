"""The contract of editors: rules that every editor keeps, and a linear world to test them in.

In a plugin's tests::

    from latentedit.testing import editor_contract

    test_contract = editor_contract("my-editor")

On the command line: ``latentedit plugins check my-editor``.
"""

from latentedit.testing.case import Case as Case
from latentedit.testing.contract import RULES as RULES
from latentedit.testing.contract import Verdict as Verdict
from latentedit.testing.contract import check_editor as check_editor
from latentedit.testing.contract import editor_contract as editor_contract
from latentedit.testing.rules import Broken as Broken
