# Public names, grouped by use. `__init__.py` reads this file to import each name on first use.

__version__: str

# Banks and edits
from .data.bank import LatentBank as LatentBank
from .data.split import Split as Split
from .data.bank import ModelReference as ModelReference
from .data.attributes import Attribute as Attribute
from .data.attributes import AttributeSchema as AttributeSchema
from .sampling.make import make_bank as make_bank
from .sampling.relabel import relabel_bank as relabel_bank
from .sampling.pictures import write_images as write_images
from .editing.fitted import fit_editor as fit_editor
from .editing.fitted import load_editor as load_editor
from .editing.fitted import FittedEditor as FittedEditor
from .editing.sharing import push_editor as push_editor
from .registry import Registry as Registry
from .benchmark.at_effect import edit_at_effect as edit_at_effect
from .benchmark.at_effect import EditsAtEffect as EditsAtEffect
from .benchmark.evaluate import evaluate as evaluate
from .benchmark.results.evaluated import Evaluation as Evaluation
from .benchmark.results.evaluated import load_results as load_results
from .benchmark.results.records import Results as Results

# For sessions
from .studio.session.edit_session import EditSession as EditSession
from .studio.session.workbench import Workbench as Workbench

# For editors
from .interfaces.editor import ANY_FLAT as ANY_FLAT
from .interfaces.editor import Editor as Editor
from .interfaces.editor import Edited as Edited
from .interfaces.editor import FitStats as FitStats
from .interfaces.editor import Options as Options
from .interfaces.editor import Runtime as Runtime
from .interfaces.runtime import Progress as Progress
from .data.moments import moments as moments
from .data.moments import Moments as Moments

# For generators, estimators and identity encoders
from .interfaces.generator import Generator as Generator
from .interfaces.generator import Subject as Subject
from .interfaces.generator import Truth as Truth
from .interfaces.generator import Tunable as Tunable
from .interfaces.generator import Companions as Companions
from .interfaces.device import models_on as models_on
from .interfaces.spaces import CodeSpaces as CodeSpaces
from .interfaces.estimators import AttributeEstimator as AttributeEstimator
from .interfaces.estimators import Described as Described
from .interfaces.estimators import IdentityEncoder as IdentityEncoder
from .interfaces.estimators import EstimatorTrainer as EstimatorTrainer
from .interfaces.estimators import TrainedEstimator as TrainedEstimator
from .data.images import images_to_bytes as images_to_bytes
from .data.images import bytes_to_images as bytes_to_images
from .data.images import pictures as pictures

# For inverters and perceptual losses
from .interfaces.inverter import Inverter as Inverter
from .interfaces.inverter import InversionRuntime as InversionRuntime
from .interfaces.inverter import Inverted as Inverted
from .interfaces.inverter import PerceptualLoss as PerceptualLoss
from .interfaces.inverter import WeightedLoss as WeightedLoss

# For metrics
from .interfaces.metric import EditMetric as EditMetric
from .interfaces.metric import EditsSeen as EditsSeen
from .interfaces.metric import Seen as Seen

# For trackers and hubs
from .interfaces.hub import Hub as Hub
from .interfaces.tracker import Tracker as Tracker
from .interfaces.runtime import Log as Log

# For importers, published networks, landmarks and layer presets
from .files.remote import cache_folder as cache_folder
from .downloads.catalogue import PublishedNetwork as PublishedNetwork
from .editing.layers import LayerPreset as LayerPreset
from .interfaces.importers import BankImporter as BankImporter
from .interfaces.importers import ImportedCodes as ImportedCodes
from .interfaces.importers import ImportedWeights as ImportedWeights
from .interfaces.importers import WeightImporter as WeightImporter
from .interfaces.landmarks import LandmarkDetector as LandmarkDetector
from .interfaces.landmarks import Landmarks as Landmarks

# For executors
from .benchmark.execution.executor import Executor as Executor
from .benchmark.execution.executor import ExecutorOptions as ExecutorOptions
from .benchmark.execution.events import Event as Event
from .benchmark.execution.events import Ended as Ended
from .benchmark.execution.events import Progressed as Progressed
from .benchmark.execution.worker import Job as Job
from .benchmark.execution.worker import check_code as check_code
from .benchmark.execution.warm_process import WarmProcess as WarmProcess
from .benchmark.cells.store import CellStore as CellStore

# Entry points
from .plugin import PluginSpec as PluginSpec
from .plugin import hookimpl as hookimpl

# Files
from .files.artefacts import read_json as read_json
from .files.artefacts import write_json as write_json
from .files.artefacts import read_tensors as read_tensors
from .files.artefacts import write_tensors as write_tensors
from .files.artefacts import new_folder as new_folder
from .files.modules import loaded_module as loaded_module
from .files.artefacts import file_digest as file_digest
from .files.digests import check_digest as check_digest
from .files.artefacts import fingerprint as fingerprint
from .files.records import StrictRecord as StrictRecord
from .files.records import read_record as read_record
from .files.npy import mapped_array as mapped_array
from .files.npy import parsed_array as parsed_array

from .files.pictures import open_picture as open_picture
from .files.pictures import picture_files as picture_files
from .files.regular import open_regular as open_regular
from .files.strict_yaml import read_yaml_file as read_yaml_file

# Weight files of other projects
from .weights.network import read_network as read_network
from .weights.network import read_state_dict as read_state_dict
from .weights.network import NetworkFile as NetworkFile
from .weights.nodes import InertArray as InertArray
from .weights.nodes import InertObject as InertObject
from .weights.nodes import InertTensor as InertTensor
from .weights.refusal import RefusedFile as RefusedFile

# Errors
from .errors import LatentEditError as LatentEditError
from .errors import InputError as InputError
from .errors import UnknownName as UnknownName
from .errors import OutOfRange as OutOfRange
from .errors import SuiteError as SuiteError
from .errors import FingerprintMismatch as FingerprintMismatch
from .errors import CorruptArtefact as CorruptArtefact
from .errors import NotFitted as NotFitted
from .errors import Unsupported as Unsupported
from .errors import PluginFault as PluginFault
from .errors import EnvironmentFault as EnvironmentFault
