// Connect binds a socket, connects it to a peer at the first Enter, undoes that at the
// second, and so on. Meanwhile it prints what the socket receives.
//
//	node udp_client/connect/main.js
'use strict'
const dgram = require('node:dgram')
const readline = require('node:readline')
const { parseArgs, promisify } = require('node:util')

const { addr, from } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  from: { type: 'string', default: '127.0.0.1:8081' }
} }).values
const [[, host, port], [, ourHost, ourPort]] = [addr, from].map((a) => /^\[?(.*?)\]?:(\d+)$/.exec(a))

const socket = dgram.createSocket(/:/.test(ourHost) ? 'udp6' : 'udp4')
const [connect, send] = [socket.connect, socket.send].map((f) => promisify(f).bind(socket))
socket.on('listening', () => console.log('listening on', at(socket.address())))
socket.bind(ourPort, ourHost)

const input = readline.createInterface({ input: process.stdin })
steps().catch(fail)

// steps takes one at each Enter.
async function steps () {
  const enter = input[Symbol.asyncIterator]()
  while (!(await enter.next()).done) {
    await connect(port, host) // looks the name up, and so comes later; throws if it is connected already
    console.log(`connected to ${at(socket.remoteAddress())} from ${at(socket.address())}`)
    await send('hello').catch(again) // to the peer: no address is needed now
    if (!(await enter.next()).done) {
      socket.disconnect() // from now on remoteAddress() throws
      console.log('disconnected, bound to', at(socket.address()))
    }
  }
}

function again (err) {
  if (err.code !== 'ECONNREFUSED') throw err
  return send('hello') // refused was what had been sent before; this was not sent
}

//weave:receive
socket.on('message', (message, rinfo) => {
  console.log(`${at(rinfo)} sent ${rinfo.size} bytes: ${JSON.stringify(message.subarray(0, 64).toString())}`)
})
socket.on('error', (err) => {
  if (err.code !== 'ECONNREFUSED') return fail(err)
  console.log("refused: nobody is at the peer's port")
})
//weave:end

let ended = false
function fail (err) {
  if (ended) return
  console.error(`connect: ${err.message}`)
  process.exitCode = 1
  end()
}

function end (done) {
  if (ended) return
  ended = true
  input.close() // or the process would wait for more
  socket.close(done)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => end(() => console.log('closed')))
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
