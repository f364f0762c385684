//! `QueueBase`: what `typhoon.queues.Queue` does for each item.
//!
//! Items are kept here, unless a subclass replaces the methods `_init`, `_put` and `_get` to have a
//! container of its own. Getters and putters that have to wait stand in a line of futures each, at
//! most one of which is not empty. One that has timed out leaves its line at once: it has an error,
//! whose traceback may lead back to the queue. One that was cancelled is dropped as it comes to an
//! end of its line.
//!
//! No borrow is held while Python code may run: a finalizer may use the same queue.

use std::collections::VecDeque;

use pyo3::PyTraverseError;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::awaiting::{DoneFuture, is_done, new_future, running_loop, set_result};

create_exception!(
    typhoon.queues,
    QueueEmpty,
    PyException,
    "`Queue.get_nowait` was called on a queue without items."
);
create_exception!(
    typhoon.queues,
    QueueFull,
    PyException,
    "`Queue.put_nowait` was called on a queue that has as many items as it may."
);

/// The base of `typhoon.queues.Queue`.
#[pyclass(subclass, generic, module = "typhoon._core")]
#[derive(Default)]
pub struct QueueBase {
    items: VecDeque<Py<PyAny>>,
    /// What a subclass keeps its items in.
    container: Option<Py<PyAny>>,
    /// So many items fill the queue; None if nothing does.
    limit: Option<usize>,
    getters: VecDeque<Py<PyAny>>,
    putters: VecDeque<(Py<PyAny>, Py<PyAny>)>,
    /// Items that were put in, without those whose work is done.
    unfinished: usize,
    joiners: VecDeque<Py<PyAny>>,
    /// The future of the last `put` that did not wait.
    done: DoneFuture,
}

#[pymethods]
impl QueueBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.container)?;
        self.done.traverse(&visit)?;
        for object in self.items.iter().chain(&self.getters).chain(&self.joiners) {
            visit.call(object)?;
        }
        for (item, future) in &self.putters {
            visit.call(item)?;
            visit.call(future)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        *self = Self::default();
    }

    /// Say how many items fill the queue; 0 if it is never full.
    fn _set_limit(&mut self, limit: usize) {
        self.limit = (limit > 0).then_some(limit);
    }

    /// The container of the items: that of a subclass, or a copy as a list.
    #[getter]
    fn _queue<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.container {
            Some(container) => Ok(container.bind(py).clone()),
            None => Ok(PyList::new(py, &self.items)?.into_any()),
        }
    }

    #[setter(_queue)]
    fn set_queue(&mut self, container: Py<PyAny>) {
        self.container = Some(container);
    }

    /// The lengths of the lines of getters and putters, and the number of unfinished tasks.
    fn _counts(&self) -> (usize, usize, usize) {
        (self.getters.len(), self.putters.len(), self.unfinished)
    }

    /// How many items there are.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let container = match slf.borrow() {
            this if this.container.is_none() => return Ok(this.items.len()),
            this => this._queue(slf.py())?,
        };
        container.len()
    }

    /// Whether there are no items.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(Self::qsize(slf)? == 0)
    }

    /// Whether `put` would wait.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let limit = slf.borrow().limit;
        match limit {
            Some(limit) => Ok(Self::qsize(slf)? >= limit),
            None => Ok(false),
        }
    }

    /// Put `item` into the queue: at once, or when there is room.
    ///
    /// Returns a future that is done when the item is in the queue. After `timeout` it raises
    /// `TimeoutError`, and the item is left out.
    #[pyo3(signature = (item, timeout=None))]
    fn put<'py>(
        slf: &Bound<'py, Self>,
        item: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if Self::try_put(slf, item)? {
            let event_loop = running_loop(py)?;
            if let Some(future) = slf.borrow().done.again(&event_loop) {
                return Ok(future);
            }
            let future = new_future(py)?;
            set_result(&future, &py.None().into_bound(py))?;
            let done = DoneFuture::new(&future, event_loop);
            drop(std::mem::replace(&mut slf.borrow_mut().done, done));
            return Ok(future);
        }
        let future = new_future(py)?;
        Self::expire(slf, &future, timeout)?;
        let waiting = (item.clone().unbind(), future.clone().unbind());
        Self::line_up(slf, |this| &mut this.putters, |(_, putter)| putter, waiting)?;
        Ok(future)
    }

    /// Put `item` into the queue at once.
    ///
    /// Raises:
    ///     QueueFull: There is no room.
    fn put_nowait(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        if Self::try_put(slf, item)? {
            Ok(())
        } else {
            Err(QueueFull::new_err(()))
        }
    }

    /// Take an item: at once, or when there is one.
    ///
    /// Returns a future of the item. After `timeout` it raises `TimeoutError`.
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let future = new_future(slf.py())?;
        if let Some(item) = Self::try_get(slf)? {
            set_result(&future, &item)?;
        } else {
            Self::expire(slf, &future, timeout)?;
            let waiting = future.clone().unbind();
            Self::line_up(slf, |this| &mut this.getters, |getter| getter, waiting)?;
        }
        Ok(future)
    }

    /// Take an item at once.
    ///
    /// Raises:
    ///     QueueEmpty: There is none.
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::try_get(slf)?.ok_or_else(|| QueueEmpty::new_err(()))
    }

    /// Say that the work on an item taken from the queue is done.
    ///
    /// Raises:
    ///     ValueError: It was called more often than items were put in.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let joiners = {
            let mut this = slf.borrow_mut();
            this.unfinished = this
                .unfinished
                .checked_sub(1)
                .ok_or_else(|| PyValueError::new_err("task_done() called too many times"))?;
            if this.unfinished > 0 || this.joiners.is_empty() {
                return Ok(());
            }
            std::mem::take(&mut this.joiners)
        };
        for joiner in joiners {
            let joiner = joiner.bind(py);
            if !is_done(joiner)? {
                set_result(joiner, &py.None().into_bound(py))?;
            }
        }
        Ok(())
    }

    /// This future, which had a deadline, is done: it waits no more.
    fn _leave(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) {
        let left = {
            let mut this = slf.borrow_mut();
            (
                take_out(&mut this.getters, |getter| getter.is(future)),
                take_out(&mut this.putters, |(_, putter)| putter.is(future)),
                take_out(&mut this.joiners, |joiner| joiner.is(future)),
            )
        };
        drop(left);
    }

    /// A future that is done when `task_done` was called for each item that was put in.
    ///
    /// After `timeout` it raises `TimeoutError`.
    #[pyo3(signature = (timeout=None))]
    fn join<'py>(
        slf: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let future = new_future(py)?;
        if slf.borrow().unfinished == 0 {
            set_result(&future, &py.None().into_bound(py))?;
            return Ok(future);
        }
        Self::expire(slf, &future, timeout)?;
        let waiting = future.clone().unbind();
        Self::line_up(slf, |this| &mut this.joiners, |joiner| joiner, waiting)?;
        Ok(future)
    }
}

impl QueueBase {
    /// Hand the item to a getter, or add it to the items. False if there is no room.
    fn try_put<'py>(slf: &Bound<'py, Self>, item: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        loop {
            let getter = slf.borrow_mut().getters.pop_front();
            let Some(getter) = getter else { break };
            let getter = getter.bind(py);
            if is_done(getter)? {
                continue;
            }
            Self::add(slf, item)?;
            let first = Self::take(slf)?;
            return set_result(getter, &first).map(|()| true);
        }
        if Self::full(slf)? {
            return Ok(false);
        }
        Self::add(slf, item)?;
        Ok(true)
    }

    /// Take an item, and let the first putter put in its own.
    fn try_get<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        loop {
            let putter = slf.borrow_mut().putters.pop_front();
            let Some((item, putter)) = putter else { break };
            let putter = putter.bind(py);
            if is_done(putter)? {
                continue;
            }
            Self::add(slf, item.bind(py))?;
            set_result(putter, &py.None().into_bound(py))?;
            return Self::take(slf).map(Some);
        }
        if Self::qsize(slf)? == 0 {
            return Ok(None);
        }
        Self::take(slf).map(Some)
    }

    fn add<'py>(slf: &Bound<'py, Self>, item: &Bound<'py, PyAny>) -> PyResult<()> {
        let mut this = slf.borrow_mut();
        if this.container.is_none() {
            this.items.push_back(item.clone().unbind());
        } else {
            drop(this);
            slf.call_method1(intern!(slf.py(), "_put"), (item,))?;
            this = slf.borrow_mut();
        }
        this.unfinished += 1;
        Ok(())
    }

    fn take<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Some(item) = slf.borrow_mut().items.pop_front() {
            return Ok(item.into_bound(py));
        }
        slf.call_method0(intern!(py, "_get"))
    }

    /// Add to the end of a line, from which those that have given up are dropped first.
    fn line_up<T>(
        slf: &Bound<'_, Self>,
        line: impl Fn(&mut Self) -> &mut VecDeque<T>,
        future: impl Fn(&T) -> &Py<PyAny>,
        waiting: T,
    ) -> PyResult<()> {
        loop {
            let last = line(&mut slf.borrow_mut()).pop_back();
            let Some(last) = last else { break };
            if !is_done(future(&last).bind(slf.py()))? {
                line(&mut slf.borrow_mut()).push_back(last);
                break;
            }
        }
        line(&mut slf.borrow_mut()).push_back(waiting);
        Ok(())
    }

    /// Let the future fail at a deadline, if there is one, and leave its line.
    fn expire(
        slf: &Bound<'_, Self>,
        future: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        static EXPIRE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let Some(timeout) = timeout else {
            return Ok(());
        };
        let py = slf.py();
        EXPIRE
            .import(py, "typhoon.gen.deadlines", "expire_at")?
            .call1((future, timeout))?;
        let leave = slf.getattr(intern!(py, "_leave"))?;
        future
            .call_method1(intern!(py, "add_done_callback"), (leave,))
            .map(drop)
    }
}

/// Take out of a line what is found in it. The search ends at once where waits end in their order.
fn take_out<T>(line: &mut VecDeque<T>, found: impl Fn(&T) -> bool) -> Option<T> {
    let place = line.iter().position(found)?;
    line.remove(place)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("QueueEmpty", py.get_type::<QueueEmpty>())?;
    module.add("QueueFull", py.get_type::<QueueFull>())?;
    module.add_class::<QueueBase>()
}
